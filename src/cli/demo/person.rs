//! What waits for a person: the agent pays an invoice that the user asked it to pay, the policy wants a person's yes, and
//! one says yes: through the API, or at a terminal whoever watches does in the console.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{McpClient, ToolResult, admin};
use super::failure::Failure;
use super::office::SUPPLIER;
use super::proxy::Setup;
use super::tools::Domain;

/// The invoice, euros: above what the policy lets an agent pay alone.
const EUROS: u32 = 1_480;
/// How long somebody at a terminal has.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often it is looked whether somebody has answered.
const EVERY: Duration = Duration::from_millis(200);

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// The demo itself, through the API.
    ByApi,
    /// Whoever watches, in the console.
    InConsole,
}

/// A payment that waited for a person.
#[derive(Clone, Debug)]
pub(super) struct Waited {
    /// What the agent was told when it asked.
    pub(super) first: ToolResult,
    /// Payments to the supplier at that moment, and after the answer alone.
    pub(super) paid_before: usize,
    /// Who answered, and what: the words of the API.
    pub(super) answer: String,
    /// What the agent was told when it asked again.
    pub(super) second: ToolResult,
}

/// Plays it. `paid` counts the payments to the supplier.
///
/// # Errors
/// [`Failure`]: it could not be played to its end.
pub(super) async fn ask(setup: &Setup, answers: Answers, paid: impl Fn() -> usize) -> Result<Waited, Failure> {
    let mut client = McpClient::new(&setup.url(Domain::Payments), Some(setup.credential()))?;
    let invoice = json!({"account": SUPPLIER, "amount": EUROS, "reference": "invoice 4802"});
    let first = client.call("transfer", invoice.clone()).await?;
    let id = first.decision.as_ref().and_then(|decision| decision.get("approval_id")).and_then(Value::as_str);
    let id =
        id.ok_or_else(|| Failure::Client { url: "payments.transfer".into(), problem: "it did not wait".into() })?;
    let status = match answers {
        Answers::ByApi => {
            let path = format!("/v1/approvals/{id}/approve");
            admin(&setup.admin_url(&path), setup.person(), Some(json!({"reason": "the invoice is in order"}))).await?;
            text(&admin(&setup.admin_url(&format!("/v1/approvals/{id}")), setup.person(), None).await?, "/status")
        }
        Answers::InConsole => {
            let page = setup.admin_url(&format!("/approvals/{id}"));
            eprintln!("A payment of {EUROS} EUR waits for you. Open {page}");
            eprintln!("log in with the token {}", setup.person());
            eprintln!("and approve or deny it. (--yes answers by itself.)");
            settled(setup, id).await?
        }
    };
    let paid_before = paid();
    let second = client.call("transfer", invoice).await?;
    Ok(Waited { first, paid_before, answer: status, second })
}

async fn settled(setup: &Setup, id: &str) -> Result<String, Failure> {
    let url = setup.admin_url(&format!("/v1/approvals/{id}"));
    let look = async {
        loop {
            let status = text(&admin(&url, setup.person(), None).await?, "/status");
            if status != "pending" {
                return Ok(status);
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    // Silence is a no.
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| Ok("unanswered".into()))
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
