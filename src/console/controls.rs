//! `/v1/controls` and `/v1/grants`: the kill switch, break-glass, and standing permissions.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::{Caller, Page, Problem, Role};
use crate::approve::{Approvals, Control, ControlKind, GrantRequest, GrantView, Person, Scope};
use crate::model::{ApprovalId, ControlId, GrantId, Timestamp};

pub(super) fn routes(approvals: Approvals) -> Router {
    Router::new()
        .route("/controls", get(list))
        .route("/controls/suspend", post(suspend))
        .route("/controls/break-glass", post(break_glass))
        .route("/controls/{id}/confirm", post(confirm))
        .route("/controls/{id}/resume", post(resume))
        .route("/controls/{id}/review", post(review))
        .route("/grants", get(grants))
        .route("/grants/{id}/revoke", post(revoke))
        .route("/approvals/{id}/grant", post(grant))
        .with_state(approvals)
}

/// A control as people see it.
#[derive(Serialize)]
struct Shown {
    id: String,
    control: &'static str,
    state: &'static str,
    scope: Scope,
    actor: String,
    confirmed_by: Option<String>,
    reason: String,
    ticket: Option<String>,
    since: Timestamp,
    expires: Option<Timestamp>,
}

impl From<&Control> for Shown {
    fn from(control: &Control) -> Self {
        Self {
            id: control.id.to_string(),
            control: match control.kind {
                ControlKind::BreakGlass => "break_glass",
                ControlKind::Suspend => "suspend",
            },
            state: control.state.word(),
            scope: control.scope.clone(),
            actor: control.actor.to_string(),
            confirmed_by: control.second.as_ref().map(ToString::to_string),
            reason: control.reason.to_string(),
            ticket: control.ticket.as_ref().map(ToString::to_string),
            since: control.since,
            expires: control.expires,
        }
    }
}

/// The id of what was made.
#[derive(Serialize)]
struct Made {
    id: String,
    state: &'static str,
}

async fn list(State(approvals): State<Approvals>, caller: Caller) -> Result<Json<Page<Shown>>, Problem> {
    require_all(&caller, Role::Viewer)?;
    Ok(Json(Page::of(approvals.controls().iter().map(|control| Shown::from(&**control)).collect(), 0)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suspend {
    scope: Scope,
    reason: String,
    #[serde(default)]
    expires: Option<Timestamp>,
}

async fn suspend(
    State(approvals): State<Approvals>,
    caller: Caller,
    Json(body): Json<Suspend>,
) -> Result<Json<Made>, Problem> {
    require_all(&caller, Role::Admin)?;
    let id = approvals.suspend(&Person::from(&caller), body.scope, &body.reason, body.expires).await?;
    Ok(Json(Made { id: id.to_string(), state: "active" }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BreakGlass {
    scope: Scope,
    reason: String,
    ticket: String,
    minutes: u64,
}

async fn break_glass(
    State(approvals): State<Approvals>,
    caller: Caller,
    Json(body): Json<BreakGlass>,
) -> Result<Json<Made>, Problem> {
    require_all(&caller, Role::Admin)?;
    let person = Person::from(&caller);
    let id = approvals.ask_break_glass(&person, body.scope, (&body.reason, &body.ticket), body.minutes).await?;
    Ok(Json(Made { id: id.to_string(), state: "awaits_second_person" }))
}

async fn confirm(
    State(approvals): State<Approvals>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Made>, Problem> {
    require_all(&caller, Role::Admin)?;
    approvals.confirm_break_glass(&Person::from(&caller), &control(&id)?).await?;
    Ok(Json(Made { id, state: "active" }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: String,
}

async fn resume(
    State(approvals): State<Approvals>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<Reason>,
) -> Result<Json<Made>, Problem> {
    require_all(&caller, Role::Admin)?;
    approvals.resume(&Person::from(&caller), &control(&id)?, &body.reason).await?;
    Ok(Json(Made { id, state: "ended" }))
}

async fn review(
    State(approvals): State<Approvals>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<Reason>,
) -> Result<Json<Made>, Problem> {
    require_all(&caller, Role::Admin)?;
    approvals.review_break_glass(&Person::from(&caller), &control(&id)?, &body.reason).await?;
    Ok(Json(Made { id, state: "ended" }))
}

async fn grants(State(approvals): State<Approvals>, caller: Caller) -> Json<Page<GrantView>> {
    Json(Page::of(approvals.grants(&Person::from(&caller)), 0))
}

async fn grant(
    State(approvals): State<Approvals>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<GrantRequest>,
) -> Result<Json<Made>, Problem> {
    caller.require(Role::Approver)?;
    let id = ApprovalId::parse(&id).map_err(|_| Problem::not_found("there is no such request"))?;
    let id = approvals.grant(&id, &Person::from(&caller), &body).await?;
    Ok(Json(Made { id: id.to_string(), state: "active" }))
}

async fn revoke(
    State(approvals): State<Approvals>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<Reason>,
) -> Result<Json<Made>, Problem> {
    caller.require(Role::Approver)?;
    let grant = GrantId::parse(&id).map_err(|_| Problem::not_found("there is no such permission"))?;
    approvals.revoke(&grant, &Person::from(&caller), &body.reason).await?;
    Ok(Json(Made { id, state: "ended" }))
}

/// Controls reach over tenants: who is confined to one does not see or use them.
pub(super) fn require_all(caller: &Caller, role: Role) -> Result<(), Problem> {
    caller.require(role)?;
    if caller.tenant.is_some() {
        return Err(Problem::forbidden("this takes a token that is not confined to a tenant"));
    }
    Ok(())
}

fn control(id: &str) -> Result<ControlId, Problem> {
    ControlId::parse(id).map_err(|_| Problem::not_found("there is no such control"))
}
