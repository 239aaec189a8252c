//! The kill switch and break-glass: what people set above the policies, for a while, on record.
//!
//! A suspension holds from the moment it is asked for, whether or not it can be recorded; everything that opens
//! something is recorded first.

use std::sync::Arc;

use super::standing::Standing;
use super::{Approvals, ApproveError, Person, Scope};
use crate::metrics::{Counter, count};
use crate::model::{ControlId, Timestamp, Verification};
use crate::net::random_bytes;
use crate::record::entry::ControlBlock;
use crate::record::{ControlFact, RecordError};

/// The longest break-glass, minutes (design §6).
pub const BREAK_GLASS_MINUTES_MAX: u64 = 60;
/// How long what was asked for can be confirmed, microseconds: an emergency of an hour ago is another one now.
const ASKED_US_MAX: u64 = 3_600_000_000;
/// Controls at once.
const CONTROLS_MAX: usize = 1_000;
/// Longest reason and ticket, bytes.
const TEXT_BYTES_MAX: usize = 1_000;

/// The event of a break-glass that a second person has to confirm.
const ASKED: &str = "break_glass_asked";

/// What a control does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlKind {
    /// Lets through what the policies would refuse, for a while.
    BreakGlass,
    /// Holds everything.
    Suspend,
}

/// Where a control stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlState {
    /// It applies.
    Active,
    /// It applied; somebody has to look at what was done under it.
    AwaitsReview,
    /// A second person has to confirm it.
    AwaitsSecond,
    /// Over.
    Ended,
}

impl ControlState {
    /// The word that people and programs see.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::AwaitsReview => "awaits_review",
            Self::AwaitsSecond => "awaits_second_person",
            Self::Ended => "ended",
        }
    }
}

/// One use of a control.
#[derive(Clone, Debug)]
pub struct Control {
    /// Its id.
    pub id: ControlId,
    /// What it does.
    pub kind: ControlKind,
    /// To what.
    pub scope: Scope,
    /// Who asked for it.
    pub actor: Arc<str>,
    /// Who confirmed it.
    pub second: Option<Arc<str>>,
    /// Why.
    pub reason: Arc<str>,
    /// Where the reason is written down at length.
    pub ticket: Option<Arc<str>>,
    /// Since when.
    pub since: Timestamp,
    /// Until when; without, until somebody ends it.
    pub expires: Option<Timestamp>,
    /// How long it will last once it is confirmed, microseconds.
    pub lasts_us: u64,
    /// Where it stands.
    pub state: ControlState,
    /// Place of its entry.
    pub entry: u64,
}

impl Control {
    /// Whether it applies at `now`.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.state == ControlState::Active && self.expires.is_none_or(|expires| now < expires)
    }

    /// The same, over: what was opened has to be looked at.
    pub(super) fn over(self) -> Self {
        let state = match self.kind {
            ControlKind::BreakGlass => ControlState::AwaitsReview,
            ControlKind::Suspend => ControlState::Ended,
        };
        Self { state, ..self }
    }

    fn block(&self, event: &'static str, (actor, verification): (&str, Verification)) -> ControlBlock<'static> {
        let second = self.second.iter().map(|name| name.to_string().into());
        ControlBlock {
            actor: Some(actor.to_owned().into()),
            actor_verification: Some(verification),
            approvers: second.collect(),
            control_id: Some(self.id.to_string().into()),
            event: event.into(),
            expires: self.expires,
            reason: Some(crate::record::redact::text(&self.reason).text.into_owned().into()),
            scope: Some(self.scope.block()),
            since: Some(self.since),
            ticket: self.ticket.as_ref().map(|ticket| ticket.to_string().into()),
            ..ControlBlock::default()
        }
    }

    /// A control out of its entry.
    pub(super) fn of_block(block: &ControlBlock<'_>, entry: u64) -> Option<Self> {
        let (kind, state) = match &*block.event {
            ASKED => (ControlKind::BreakGlass, ControlState::AwaitsSecond),
            "break_glass" => (ControlKind::BreakGlass, ControlState::Active),
            "suspend" => (ControlKind::Suspend, ControlState::Active),
            _ => return None,
        };
        // What waits for a second person says how long it would last, as if it had begun at once.
        let (expires, lasts_us) = match (state, block.expires) {
            (ControlState::AwaitsSecond, would) => (None, would?.micros_since(block.since?)),
            (_, expires) => (expires, 0),
        };
        Some(Self {
            id: ControlId::parse(block.control_id.as_deref()?).ok()?,
            kind,
            scope: Scope::of_block(block.scope.as_ref()?)?,
            actor: block.actor.as_deref().unwrap_or_default().into(),
            second: block.approvers.first().map(|name| Arc::from(&**name)),
            reason: block.reason.as_deref().unwrap_or_default().into(),
            ticket: block.ticket.as_deref().map(Arc::from),
            since: block.since?,
            expires,
            lasts_us,
            state,
            entry,
        })
    }

    /// Whether a second person can still confirm it at `now`.
    fn awaits_second(&self, now: Timestamp) -> bool {
        self.state == ControlState::AwaitsSecond && now.micros_since(self.since) < ASKED_US_MAX
    }
}

impl Approvals {
    /// The kill switch: from now on nothing in `scope` is forwarded, held calls and standing permissions included.
    ///
    /// # Errors
    /// [`ApproveError::Record`]: it holds, and could not be recorded.
    pub async fn suspend(
        &self,
        person: &Person,
        scope: Scope,
        reason: &str,
        expires: Option<Timestamp>,
    ) -> Result<ControlId, ApproveError> {
        let mut control = self.control(ControlKind::Suspend, person, scope, (reason, None))?;
        control.expires = expires;
        let (id, block) = (control.id.clone(), control.block("suspend", (&person.name, person.verification)));
        // Before the entry: whatever happens to the log, it holds.
        self.change(|standing| standing.controls.push(Arc::new(control)));
        count(Counter::Suspensions);
        tracing::warn!(control = %id, by = %person.name, "suspended");
        let (_, entry) = self.inner.recorder.control_at(ControlFact::control(block)).await?;
        self.update(&id, |control| control.entry = entry);
        Ok(id)
    }

    /// Ends a suspension, or a break-glass before its time.
    ///
    /// # Errors
    /// [`ApproveError`]: there is none, or it could not be recorded and holds on.
    pub async fn resume(&self, person: &Person, id: &ControlId, reason: &str) -> Result<(), ApproveError> {
        fits(reason)?;
        let control = self.active(id)?;
        let block = ControlBlock {
            reason: Some(reason.to_owned().into()),
            ..control.block("resume", (&person.name, person.verification))
        };
        // COMMIT POINT: what lifts a suspension is on record first.
        self.inner.recorder.control(ControlFact::control(block)).await?;
        self.update(id, |control| *control = control.clone().over());
        Ok(())
    }

    /// Asks for break-glass: nothing is opened before a second person confirms it, within the hour. It survives a
    /// restart.
    ///
    /// # Errors
    /// [`ApproveError`]: it names no ticket, is too long, or could not be recorded and was not asked for.
    pub async fn ask_break_glass(
        &self,
        person: &Person,
        scope: Scope,
        (reason, ticket): (&str, &str),
        minutes: u64,
    ) -> Result<ControlId, ApproveError> {
        if minutes == 0 || minutes > BREAK_GLASS_MINUTES_MAX {
            return Err(ApproveError::Text("break-glass lasts 1 to 60 minutes"));
        }
        if ticket.trim().is_empty() || ticket.len() > TEXT_BYTES_MAX {
            return Err(ApproveError::Text("name the ticket"));
        }
        let mut control = self.control(ControlKind::BreakGlass, person, scope, (reason, Some(ticket)))?;
        control.state = ControlState::AwaitsSecond;
        control.lasts_us = minutes * 60_000_000;
        let id = control.id.clone();
        let block = ControlBlock {
            expires: Some(control.since.plus_micros(control.lasts_us)),
            ..control.block(ASKED, (&person.name, person.verification))
        };
        // COMMIT POINT: nobody can confirm what is not on record.
        let (_, entry) = self.inner.recorder.control_at(ControlFact::control(block)).await?;
        control.entry = entry;
        self.change(|standing| standing.controls.push(Arc::new(control)));
        Ok(id)
    }

    /// Confirms a break-glass that somebody else asked for. It counts from now on.
    ///
    /// # Errors
    /// [`ApproveError`]: the same person, nothing to confirm, or it could not be recorded and stays shut.
    pub async fn confirm_break_glass(&self, person: &Person, id: &ControlId) -> Result<(), ApproveError> {
        let now = self.inner.clock.now();
        let standing = self.inner.standing.load_full();
        let waits = |control: &&Arc<Control>| control.id == *id && control.awaits_second(now);
        let control = standing.controls.iter().find(waits).ok_or(ApproveError::Unknown)?;
        if control.actor.to_lowercase() == person.name.to_lowercase() {
            return Err(ApproveError::SamePerson);
        }
        let mut confirmed = Control::clone(control);
        confirmed.second = Some(Arc::clone(&person.name));
        (confirmed.since, confirmed.expires) = (now, Some(now.plus_micros(control.lasts_us)));
        let block = confirmed.block("break_glass", (&confirmed.actor, person.verification));
        // COMMIT POINT: nothing is opened before it is on record.
        let (_, entry) = self.inner.recorder.control_at(ControlFact::control(block)).await?;
        count(Counter::BreakGlasses);
        tracing::warn!(control = %id, by = %confirmed.actor, confirmed_by = %person.name, "break-glass");
        self.update(id, |control| {
            *control = confirmed.clone();
            (control.state, control.entry) = (ControlState::Active, entry);
        });
        Ok(())
    }

    /// Says that somebody looked at what was done under a break-glass.
    ///
    /// # Errors
    /// [`ApproveError`]: it is not over, or it could not be recorded.
    pub async fn review_break_glass(
        &self,
        person: &Person,
        id: &ControlId,
        findings: &str,
    ) -> Result<(), ApproveError> {
        fits(findings)?;
        let now = self.inner.clock.now();
        let standing = self.inner.standing.load_full();
        let over = |control: &&Arc<Control>| {
            control.id == *id && control.kind == ControlKind::BreakGlass && !control.is_active(now)
        };
        let control = standing.controls.iter().find(over).ok_or(ApproveError::Unknown)?;
        let block = ControlBlock {
            reason: Some(findings.to_owned().into()),
            until: Some(now),
            ..control.block("break_glass_reviewed", (&person.name, person.verification))
        };
        self.inner.recorder.control(ControlFact::control(block)).await?;
        self.update(id, |control| control.state = ControlState::Ended);
        Ok(())
    }

    /// All controls that are not over, the newest first.
    #[must_use]
    pub fn controls(&self) -> Vec<Arc<Control>> {
        let now = self.inner.clock.now();
        let standing = self.inner.standing.load_full();
        let shown = |control: &Arc<Control>| {
            let ended = control.state == ControlState::Active && !control.is_active(now);
            if ended { Arc::new(Control::clone(control).over()) } else { Arc::clone(control) }
        };
        let lapsed = |control: &Control| control.state == ControlState::AwaitsSecond && !control.awaits_second(now);
        let all = standing.controls.iter().rev().map(shown);
        all.filter(|control| control.state != ControlState::Ended && !lapsed(control)).collect()
    }

    fn control(
        &self,
        kind: ControlKind,
        person: &Person,
        scope: Scope,
        (reason, ticket): (&str, Option<&str>),
    ) -> Result<Control, ApproveError> {
        fits(reason)?;
        if !scope.is_fit() {
            return Err(ApproveError::Text("the scope needs a value of 1 to 192 bytes"));
        }
        let now = self.inner.clock.now();
        // What nobody confirmed makes room.
        let lapsed = |control: &Control| control.state == ControlState::AwaitsSecond && !control.awaits_second(now);
        if self.inner.standing.load().controls.iter().any(|control| lapsed(control)) {
            self.change(|standing| standing.controls.retain(|control| !lapsed(control)));
        }
        if self.inner.standing.load().controls.len() >= CONTROLS_MAX {
            return Err(ApproveError::TooMany("controls"));
        }
        let random = random_bytes().map_err(|error| RecordError::Random(Arc::new(error)))?;
        Ok(Control {
            id: ControlId::mint(now, random),
            kind,
            scope,
            actor: Arc::clone(&person.name),
            second: None,
            reason: reason.trim().into(),
            ticket: ticket.map(|ticket| ticket.trim().into()),
            since: now,
            expires: None,
            lasts_us: 0,
            state: ControlState::Active,
            entry: self.inner.recorder.size(),
        })
    }

    fn active(&self, id: &ControlId) -> Result<Arc<Control>, ApproveError> {
        let now = self.inner.clock.now();
        let standing = self.inner.standing.load_full();
        let found = standing.controls.iter().find(|control| control.id == *id && control.is_active(now));
        found.cloned().ok_or(ApproveError::Unknown)
    }

    fn update(&self, id: &ControlId, change: impl Fn(&mut Control)) {
        self.change(|standing: &mut Standing| {
            for control in standing.controls.iter_mut().filter(|control| control.id == *id) {
                let mut changed = Control::clone(control);
                change(&mut changed);
                *control = Arc::new(changed);
            }
            standing.controls.retain(|control| control.state != ControlState::Ended);
        });
    }
}

fn fits(text: &str) -> Result<(), ApproveError> {
    match text.trim() {
        "" => Err(ApproveError::Text("say why")),
        text if text.len() > TEXT_BYTES_MAX => Err(ApproveError::Text("the reason may have 1000 bytes")),
        _ => Ok(()),
    }
}
