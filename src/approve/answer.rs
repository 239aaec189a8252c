//! A person's answer: checked, written, and only then followed.

use std::sync::Arc;

use super::{Approvals, ApproveError, Opened, Request, Status};
use crate::metrics::{Counter, count};
use crate::model::{ApprovalId, ApprovalResult, Timestamp, Verification, with_causes};
use crate::record::FollowUp;
use crate::record::entry::ApprovalBlock;

/// Longest reason, bytes.
const REASON_BYTES_MAX: usize = 1_000;
/// Requests that one answer may be given to.
const BATCH_MAX: usize = 100;

/// Somebody who was authenticated. Made from a credential, never from a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The person's id.
    pub name: Arc<str>,
    /// The person's groups.
    pub groups: Arc<[Arc<str>]>,
    /// The tenant the person is confined to.
    pub tenant: Option<Arc<str>>,
    /// Where the answer comes from: `api`, `console`, `mail`, `slack`.
    pub channel: &'static str,
    /// How it is known who it is.
    pub verification: Verification,
}

/// What a person says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes, and if the person wants why.
    Approve(Option<String>),
    /// No, and why.
    Deny(String),
}

impl Person {
    /// Whether what belongs to `tenant` is this person's to see.
    #[must_use]
    pub fn sees(&self, tenant: Option<&str>) -> bool {
        self.tenant.is_none() || self.tenant.as_deref() == tenant
    }

    fn is_one_of(&self, names: &[Arc<str>]) -> bool {
        names.iter().any(|name| same(name, &self.name) || self.groups.iter().any(|group| same(name, group)))
    }
}

/// Names of people are compared without regard to case: mail addresses are written in many ways.
fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

impl Approvals {
    /// Takes a person's answer to one request. On return it is durable, and whoever waits knows (AARM ).
    ///
    /// # Errors
    /// [`ApproveError`]: the answer does not count, and nothing follows from it.
    pub async fn answer(&self, id: &ApprovalId, person: &Person, answer: Answer) -> Result<Status, ApproveError> {
        let inner = &self.inner;
        let now = inner.clock.now();
        let (index, block, next) = {
            let mut state = inner.lock();
            let request = state.requests.get_mut(id).filter(|request| person.sees(request.tenant.as_deref()));
            let request = request.ok_or(ApproveError::Unknown)?;
            let requester_may = inner.config.requester_may_approve;
            let (block, next) = request.weigh(person, &answer, requester_may, now)?;
            // INVARIANT: from here to the end of the write nobody else can answer.
            request.busy = true;
            (request.decision_index, block, next)
        };
        // COMMIT POINT: an answer counts when it survives a crash.
        let written = inner.recorder.follow_up(index, FollowUp::Approval(Box::new(block))).await;
        let mut state = inner.lock();
        let request = state.requests.get_mut(id).ok_or(ApproveError::Unknown)?;
        request.busy = false;
        request.entries.push(written?.1);
        if let Answer::Deny(_) = answer {
            count(Counter::ApprovalsDenied);
        } else {
            request.yes.push(Arc::clone(&person.name));
            request.verification = person.verification;
        }
        request.status.send_replace(next.clone());
        Ok(next)
    }

    /// Follows a link that was sent by mail, once: whom it logs in, and for which request.
    #[must_use]
    pub fn open_link(&self, secret: &str) -> Option<Opened> {
        self.inner.notifiers.links.open(secret, self.inner.clock.now())
    }

    /// Takes what somebody pressed in Slack. Returns whether it was a press that counts, whatever came of it: that is said
    /// in Slack.
    pub async fn press(&self, timestamp: &str, signature: &str, body: &[u8]) -> bool {
        let all = &self.inner.notifiers.buttons;
        let found = all.iter().find_map(|buttons| Some((buttons, buttons.pressed(timestamp, signature, body)?)));
        let Some((buttons, pressed)) = found else { return false };
        let answered = self.answer(&pressed.id, &pressed.person, pressed.answer.clone()).await;
        let (text, settled) = match &answered {
            Ok(status) => (format!("{}: {} by {}", pressed.id, status.word(), pressed.person.name), true),
            Err(error @ ApproveError::Settled(_)) => (format!("{}: {error}", pressed.id), true),
            Err(error) => (format!("{} was not answered: {error}", pressed.id), false),
        };
        if let Err(error) = answered {
            tracing::info!(error = with_causes(&error), by = %pressed.person.name, "an answer in Slack was not taken");
        }
        // Slack waits three seconds for us, and no time for what we say.
        let buttons = Arc::clone(buttons);
        tokio::spawn(async move { buttons.say(&pressed, &text, settled).await });
        true
    }

    /// Gives one answer to several requests for exactly the same: the same tool, the same arguments.
    ///
    /// # Errors
    /// [`ApproveError`] when they are not the same; nothing is answered then. What comes of each is in the list.
    pub async fn answer_all(
        &self,
        ids: &[ApprovalId],
        person: &Person,
        answer: Answer,
    ) -> Result<Vec<(ApprovalId, Result<Status, ApproveError>)>, ApproveError> {
        if ids.is_empty() || ids.len() > BATCH_MAX {
            return Err(ApproveError::Text("name 1 to 100 requests"));
        }
        {
            let state = self.inner.lock();
            let mut shown = Vec::new();
            for id in ids {
                let request = state.requests.get(id).filter(|request| person.sees(request.tenant.as_deref()));
                let request = request.ok_or(ApproveError::Unknown)?;
                shown.push((&request.server, &request.what, request.exact.as_ref().ok_or(ApproveError::NotIdentical)?));
            }
            if shown.windows(2).any(|pair| matches!(pair, [one, other] if one != other)) {
                return Err(ApproveError::NotIdentical);
            }
        }
        let mut results = Vec::new();
        for id in ids {
            results.push((id.clone(), self.answer(id, person, answer.clone()).await));
        }
        Ok(results)
    }
}

impl Request {
    /// Whether this person may answer it now.
    pub(super) fn may_answer(&self, person: &Person, requester_may: bool, now: Timestamp) -> Result<(), ApproveError> {
        if !self.is_pending() {
            return Err(ApproveError::Settled(self.status()));
        }
        if now >= self.expires {
            return Err(ApproveError::Settled(Status::Expired));
        }
        if self.busy {
            return Err(ApproveError::Busy);
        }
        let asked: Vec<Arc<str>> = self.approvers.iter().chain(&self.escalated).cloned().collect();
        if !self.approvers.is_empty() && !person.is_one_of(&asked) {
            return Err(ApproveError::NotRouted(asked.join(", ")));
        }
        if !(requester_may || self.requester_may) && self.requesters.iter().any(|name| same(name, &person.name)) {
            return Err(ApproveError::OwnRequest);
        }
        Ok(())
    }

    /// Whether the answer counts, what is written, and where the request stands after it.
    fn weigh(
        &self,
        person: &Person,
        answer: &Answer,
        requester_may: bool,
        now: Timestamp,
    ) -> Result<(ApprovalBlock<'static>, Status), ApproveError> {
        match answer {
            Answer::Approve(_) => self.may_answer(person, requester_may, now)?,
            // A no needs no second pair of eyes: the requester may take the request back.
            Answer::Deny(_) => self.may_answer(person, true, now)?,
        }
        let by = Some((&*person.name, person.channel, person.verification));
        match answer {
            Answer::Deny(reason) if reason.trim().is_empty() => Err(ApproveError::Text("say why it is denied")),
            Answer::Deny(reason) | Answer::Approve(Some(reason)) if reason.len() > REASON_BYTES_MAX => {
                Err(ApproveError::Text("the reason may have 1000 bytes"))
            }
            Answer::Deny(reason) => {
                let status = Status::Denied { by: Arc::clone(&person.name), reason: reason.trim().into() };
                Ok((self.answered(ApprovalResult::Denied, by, reason.trim(), now), status))
            }
            Answer::Approve(_) if self.yes.iter().any(|name| same(name, &person.name)) => Err(ApproveError::SamePerson),
            Answer::Approve(reason) => {
                let enough = self.yes.len() + 1 >= self.needed;
                // The first of two is on record as a request that waits, with who said yes.
                let (word, status) = match enough {
                    true => (ApprovalResult::Approved, Status::Approved),
                    false => (ApprovalResult::Pending, Status::Pending),
                };
                Ok((self.answered(word, by, reason.as_deref().unwrap_or_default(), now), status))
            }
        }
    }
}
