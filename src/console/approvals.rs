//! `/v1/approvals`: what waits for people, and their answers. Whose answer it is the token says.

use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::{Caller, Page, Problem, Role};
use crate::approve::{Answer, Approvals, ApproveError, Person, Summary, View};
use crate::model::{ApprovalId, with_causes};

pub(super) fn routes(approvals: Approvals) -> Router {
    Router::new()
        .route("/approvals", get(list))
        .route("/approvals/decide", post(decide_all))
        .route("/approvals/{id}", get(show))
        .route("/approvals/{id}/approve", post(approve))
        .route("/approvals/{id}/deny", post(deny))
        .with_state(approvals)
}

impl From<&Caller> for Person {
    fn from(caller: &Caller) -> Self {
        Self {
            name: caller.name.clone(),
            groups: caller.groups.clone(),
            tenant: caller.tenant.clone(),
            channel: caller.channel,
            verification: caller.verification,
        }
    }
}

impl From<ApproveError> for Problem {
    fn from(error: ApproveError) -> Self {
        let detail = error.to_string();
        match error {
            ApproveError::Unknown => Self::not_found(detail),
            ApproveError::Settled(_) | ApproveError::Busy => Self::conflict(detail),
            ApproveError::NotRouted(_) | ApproveError::OwnRequest | ApproveError::SamePerson => Self::forbidden(detail),
            ApproveError::Text(_) | ApproveError::NotIdentical => Self::bad_request(detail),
            ApproveError::TooMany(_) => Self::too_many(detail, 5),
            ApproveError::Record(_) => {
                tracing::error!(error = with_causes(&error), "an answer could not be recorded");
                Self::unavailable("the answer could not be recorded, so it does not count")
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    offset: usize,
    #[serde(default)]
    limit: Option<usize>,
}

async fn list(
    State(approvals): State<Approvals>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Result<Json<Page<Summary>>, Problem> {
    let only_pending = match listing.status.as_deref() {
        None | Some("all") => false,
        Some("pending") => true,
        Some(_) => return Err(Problem::bad_request("`status` is `pending` or `all`")),
    };
    Ok(Json(Page::part(approvals.list(&Person::from(&caller), only_pending), listing.offset, listing.limit)))
}

async fn show(
    State(approvals): State<Approvals>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<View>, Problem> {
    let (id, person) = (parse(&id)?, Person::from(&caller));
    // Reads the log: not on a thread that serves others.
    let shown = tokio::task::spawn_blocking(move || approvals.show(&id, &person)).await;
    let shown = shown.map_err(|_| Problem::unavailable("the request could not be read"))?;
    Ok(Json(shown?))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Answered {
    id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

async fn approve(
    State(approvals): State<Approvals>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<Reason>,
) -> Result<Json<Answered>, Problem> {
    answer(&approvals, &caller, &id, Answer::Approve(body.reason)).await
}

async fn deny(
    State(approvals): State<Approvals>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<Reason>,
) -> Result<Json<Answered>, Problem> {
    answer(&approvals, &caller, &id, Answer::Deny(body.reason.unwrap_or_default())).await
}

async fn answer(approvals: &Approvals, caller: &Caller, id: &str, answer: Answer) -> Result<Json<Answered>, Problem> {
    caller.require(Role::Approver)?;
    let id = parse(id)?;
    let status = approvals.answer(&id, &Person::from(caller), answer).await?;
    Ok(Json(Answered { id: id.to_string(), status: status.word(), problem: None }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    ids: Vec<String>,
    decision: Decision,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Approve,
    Deny,
}

/// `POST /v1/approvals/decide`: one answer to several requests for exactly the same.
async fn decide_all(
    State(approvals): State<Approvals>,
    caller: Caller,
    Json(batch): Json<Batch>,
) -> Result<Json<Vec<Answered>>, Problem> {
    caller.require(Role::Approver)?;
    let ids = batch.ids.iter().map(|id| parse(id)).collect::<Result<Vec<_>, _>>()?;
    let answer = match batch.decision {
        Decision::Approve => Answer::Approve(batch.reason),
        Decision::Deny => Answer::Deny(batch.reason.unwrap_or_default()),
    };
    let results = approvals.answer_all(&ids, &Person::from(&caller), answer).await?;
    let answered = results.into_iter().map(|(id, result)| match result {
        Ok(status) => Answered { id: id.to_string(), status: status.word(), problem: None },
        Err(error) => Answered { id: id.to_string(), status: "unchanged", problem: Some(error.to_string()) },
    });
    Ok(Json(answered.collect()))
}

fn parse(id: &str) -> Result<ApprovalId, Problem> {
    ApprovalId::parse(id).map_err(|_| Problem::not_found("there is no such request"))
}
