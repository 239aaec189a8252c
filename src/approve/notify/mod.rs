//! Tells people that something waits: Slack, Teams, mail, webhooks. The message links to the console, and answers
//! nothing: whoever follows the link logs in there. Buttons in Slack, and links in mail that log in once, are there when the
//! operator asks for them.
//!
//! Nothing waits for a notifier, and nothing is lost with one: the request stands in the queue and in the log. One that
//! fails is tried again a few times, counted and said loudly.

mod buttons;
mod links;
mod mail;
mod message;
mod person;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;

use crate::metrics::{Counter, count};
use crate::model::{Clock, Severity};
use crate::net::{HttpClient, HttpClientError, SecretError, SecretSource};

pub(super) use buttons::Buttons;
pub use buttons::{ButtonsConfig, Pressed};
pub use links::Opened;
pub(super) use message::{Notice, Occasion};
pub use person::NotifiedPerson;

use links::Links;
use mail::Mail;
use webhook::Webhook;

/// Messages on their way for each notifier; more, and the oldest waits in the queue of requests alone.
const QUEUE_MAX: usize = 256;
/// How often a message is tried.
const ATTEMPTS_MAX: u32 = 4;
/// The first wait between two attempts; it doubles.
const WAIT: Duration = Duration::from_secs(1);

/// One notifier. Each has a `name` for logs, its type by default, and `from_risk`: only from this risk on.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum NotifierConfig {
    /// Mail over SMTP.
    Email(MailConfig),
    /// An incoming webhook of Slack.
    Slack {
        /// Its name.
        #[serde(default)]
        name: Option<String>,
        /// Only from this risk on.
        #[serde(default)]
        from_risk: Severity,
        /// Its address, which is a secret.
        url: SecretSource,
        /// Buttons that answer, of an app whose webhook this is. Then the message holds the arguments.
        #[serde(default)]
        interactive: Option<ButtonsConfig>,
        /// The client.
        #[serde(default)]
        client: HttpClient,
    },
    /// An incoming webhook of Teams.
    Teams {
        /// Its name.
        #[serde(default)]
        name: Option<String>,
        /// Only from this risk on.
        #[serde(default)]
        from_risk: Severity,
        /// Its address, which is a secret.
        url: SecretSource,
        /// The client.
        #[serde(default)]
        client: HttpClient,
    },
    /// A POST of JSON, signed.
    Webhook {
        /// Its name.
        #[serde(default)]
        name: Option<String>,
        /// Only from this risk on.
        #[serde(default)]
        from_risk: Severity,
        /// Its address.
        url: SecretSource,
        /// The key of the signature: `X-Countersign-Signature: t=<seconds>,v1=<hex HMAC-SHA256 of "t.body">`.
        secret: SecretSource,
        /// The client.
        #[serde(default)]
        client: HttpClient,
    },
}

/// Mail over SMTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Only from this risk on.
    #[serde(default)]
    pub from_risk: Severity,
    /// The server: `smtp.example.com` or `smtp.example.com:587`.
    pub server: String,
    /// `tls` from the start, `starttls`, or `none` to loopback only.
    #[serde(default)]
    pub security: MailSecurity,
    /// The user, when the server wants one.
    #[serde(default)]
    pub user: Option<String>,
    /// The password.
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// The sender.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// Who of them, by address, gets a mail of their own with a link that logs them in once, for the one request. Then
    /// whoever reads that mailbox can answer in that person's name.
    #[serde(default)]
    pub people: BTreeMap<String, NotifiedPerson>,
}

/// How the way to the mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailSecurity {
    /// Not at all: loopback only.
    None,
    /// Upgraded before anything is said.
    #[default]
    StartTls,
    /// From the start.
    Tls,
}

/// A notifier that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The client.
    #[error("set up the notifier `{name}`")]
    Client {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: Box<HttpClientError>,
    },
    /// A secret.
    #[error("load a secret of the notifier `{name}`")]
    Secret {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: SecretError,
    },
    /// A value that cannot be used.
    #[error("the notifier `{name}`: {problem}")]
    Value {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

/// One way to tell people.
enum Way {
    Mail(Box<Mail>),
    Webhook(Webhook),
}

/// All notifiers, each on a task of its own.
#[derive(Default)]
pub(super) struct Notifiers {
    all: Vec<(Severity, Arc<str>, mpsc::Sender<Arc<Notice>>)>,
    /// Those that answer.
    pub(super) buttons: Vec<Arc<Buttons>>,
    /// Links in mail.
    pub(super) links: Arc<Links>,
}

impl Notifiers {
    /// Starts them. They end with the last holder of the queue. `linked`: whether messages can link to the console.
    pub(super) fn start(configs: &[NotifierConfig], linked: bool, clock: &Arc<dyn Clock>) -> Result<Self, NotifyError> {
        let (mut all, mut buttons, links) = (Vec::new(), Vec::new(), Arc::default());
        for config in configs {
            let (name, from_risk) = config.named();
            buttons.extend(config.buttons(&name, clock)?.map(Arc::new));
            if !linked && matches!(config, NotifierConfig::Email(mail) if !mail.people.is_empty()) {
                let problem = "`people` get links to the console: say under `admin.public_url` where it is".into();
                return Err(NotifyError::Value { name: name.to_string(), problem });
            }
            let way = config.build(&name, &links, Arc::clone(clock))?;
            let (sender, receiver) = mpsc::channel(QUEUE_MAX);
            tokio::spawn(deliver(Arc::clone(&name), way, receiver));
            all.push((from_risk, name, sender));
        }
        Ok(Self { all, buttons, links })
    }

    /// Hands a message to all that want it. Never waits.
    pub(super) fn tell(&self, notice: Notice) {
        let notice = Arc::new(notice);
        for (from, name, sender) in self.all.iter().filter(|(from, ..)| notice.risk >= *from) {
            if sender.try_send(Arc::clone(&notice)).is_err() {
                count(Counter::NotificationsFailed);
                tracing::error!(notifier = %name, ?from, request = %notice.id, "too many messages wait: this one is not sent");
            }
        }
    }
}

impl NotifierConfig {
    fn named(&self) -> (Arc<str>, Severity) {
        let (word, name, from) = match self {
            Self::Email(mail) => ("email", &mail.name, mail.from_risk),
            Self::Slack { name, from_risk, .. } => ("slack", name, *from_risk),
            Self::Teams { name, from_risk, .. } => ("teams", name, *from_risk),
            Self::Webhook { name, from_risk, .. } => ("webhook", name, *from_risk),
        };
        (name.as_deref().unwrap_or(word).into(), from)
    }

    fn buttons(&self, name: &str, clock: &Arc<dyn Clock>) -> Result<Option<Buttons>, NotifyError> {
        let Self::Slack { url, interactive: Some(config), client, .. } = self else { return Ok(None) };
        let url = url.load().map_err(|source| NotifyError::Secret { name: name.to_owned(), source })?;
        let client =
            client.build().map_err(|source| NotifyError::Client { name: name.to_owned(), source: Box::new(source) })?;
        Buttons::new(name, config, &url, client, Arc::clone(clock)).map(Some)
    }

    fn build(&self, name: &str, links: &Arc<Links>, clock: Arc<dyn Clock>) -> Result<Way, NotifyError> {
        let secret = |source: &SecretSource| {
            source.load().map_err(|source| NotifyError::Secret { name: name.to_owned(), source })
        };
        let made = |client: &HttpClient| {
            client.build().map_err(|source| NotifyError::Client { name: name.to_owned(), source: Box::new(source) })
        };
        Ok(match self {
            Self::Email(config) => Way::Mail(Box::new(Mail::new(name, config, Arc::clone(links))?)),
            Self::Slack { url, client, interactive, .. } => {
                Way::Webhook(Webhook::slack(secret(url)?, interactive.is_some(), made(client)?, clock))
            }
            Self::Teams { url, client, .. } => Way::Webhook(Webhook::teams(secret(url)?, made(client)?, clock)),
            Self::Webhook { url, secret: key, client, .. } => {
                Way::Webhook(Webhook::signed(secret(url)?, &secret(key)?, made(client)?, clock))
            }
        })
    }
}

async fn deliver(name: Arc<str>, way: Way, mut queue: mpsc::Receiver<Arc<Notice>>) {
    while let Some(notice) = queue.recv().await {
        let mut wait = WAIT;
        for attempt in 1..=ATTEMPTS_MAX {
            let sent = match &way {
                Way::Mail(mail) => mail.send(&notice).await,
                Way::Webhook(webhook) => webhook.send(&notice).await,
            };
            match sent {
                Ok(()) => {
                    count(Counter::NotificationsSent);
                    break;
                }
                Err(error) if attempt < ATTEMPTS_MAX => {
                    tracing::warn!(notifier = %name, error, "tell people; trying again");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                Err(error) => {
                    count(Counter::NotificationsFailed);
                    tracing::error!(notifier = %name, error, request = %notice.id, "people were not told by this notifier");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ManualClock, Timestamp};

    fn start(people: &str, linked: bool) -> Result<(), String> {
        let text = format!(
            "{{ type: email, server: 'localhost:25', security: none, from: a@example.com, to: [b@example.com], people: {people} }}"
        );
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_secs(1)));
        let config: NotifierConfig = serde_saphyr::from_str(&text).unwrap();
        Notifiers::start(&[config], linked, &clock).map(drop).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn links_need_a_console_a_recipient_and_a_name() {
        assert_eq!(start("{ b@example.com: { name: b } }", true), Ok(()));
        assert_eq!(start("{}", false), Ok(()));
        for (people, linked, said) in [
            ("{ b@example.com: { name: b } }", false, "admin.public_url"),
            ("{ c@example.com: { name: c } }", true, "`c@example.com` under `people` gets no mail"),
            ("{ b@example.com: { name: ' ' } }", true, "has a name"),
        ] {
            let problem = start(people, linked).unwrap_err();
            assert!(problem.contains(said), "{people}: {problem}");
        }
    }
}
