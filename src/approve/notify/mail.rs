//! Messages by mail over SMTP.

use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::links::{Links, Opened};
use super::{MailConfig, MailSecurity, Notice, NotifyError, person};
use crate::approve::Person;
use crate::model::with_causes;

/// How long the server may take for one message.
const TIMEOUT: Duration = Duration::from_secs(20);

/// One mail server and who gets the mail.
pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// Who gets the common mail.
    to: Vec<Mailbox>,
    /// Who gets one with a link of their own.
    people: Vec<(Mailbox, Person)>,
    links: Arc<Links>,
}

impl Mail {
    pub(super) fn new(name: &str, config: &MailConfig, links: Arc<Links>) -> Result<Self, NotifyError> {
        let wrong = |problem: String| NotifyError::Value { name: name.to_owned(), problem };
        let (host, port) = match config.server.rsplit_once(':') {
            Some((host, port)) => {
                let port = port.parse().map_err(|_| wrong(format!("`{port}` in `server` is no port")))?;
                (host, Some(port))
            }
            None => (config.server.as_str(), None),
        };
        let relay = |error: lettre::transport::smtp::Error| wrong(error.to_string());
        let mut builder = match config.security {
            MailSecurity::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(host).map_err(relay)?,
            MailSecurity::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(host).map_err(relay)?,
            MailSecurity::None if matches!(host, "127.0.0.1" | "localhost") => {
                AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            }
            MailSecurity::None => return Err(wrong("`security: none` is for loopback only".into())),
        };
        if let Some(port) = port {
            builder = builder.port(port);
        }
        if let (Some(user), Some(password)) = (&config.user, &config.password) {
            let secret = password.load().map_err(|source| NotifyError::Secret { name: name.to_owned(), source })?;
            builder = builder.credentials(Credentials::new(user.clone(), secret.expose().to_owned()));
        }
        let mailbox = |text: &String| text.parse().map_err(|_| wrong(format!("`{text}` is no mail address")));
        if config.to.is_empty() {
            return Err(wrong("name somebody under `to`".into()));
        }
        if let Some(address) = config.people.keys().find(|address| !config.to.contains(address)) {
            return Err(wrong(format!("`{address}` under `people` gets no mail: name it under `to`")));
        }
        person::check(&config.people, "people").map_err(wrong)?;
        let (mut to, mut people) = (Vec::new(), Vec::new());
        for address in &config.to {
            match config.people.get(address) {
                Some(known) => people.push((mailbox(address)?, known.person("mail"))),
                None => to.push(mailbox(address)?),
            }
        }
        let transport = builder.timeout(Some(TIMEOUT)).build();
        Ok(Self { transport, from: mailbox(&config.from)?, to, people, links })
    }

    /// Sends one message to everybody, and to those who answer by it one of their own each.
    pub(super) async fn send(&self, notice: &Notice) -> Result<(), String> {
        if !self.to.is_empty() {
            self.post(&self.to, notice, &notice.lines()).await?;
        }
        for (to, person) in &self.people {
            let opened = Opened { person: person.clone(), request: notice.id.clone(), until: notice.expires };
            let secret = self.links.make(opened).map_err(|error| with_causes(&error))?;
            let lines = notice.lines_with(Some(secret.expose()));
            self.post(std::slice::from_ref(to), notice, &lines).await?;
        }
        Ok(())
    }

    async fn post(&self, to: &[Mailbox], notice: &Notice, lines: &[String]) -> Result<(), String> {
        let mut builder = Message::builder().from(self.from.clone()).subject(notice.title());
        for to in to {
            builder = builder.to(to.clone());
        }
        let mut text = notice.title();
        for line in lines {
            text.push_str("\r\n");
            text.push_str(line);
        }
        let message = builder.header(ContentType::TEXT_PLAIN).body(text).map_err(|error| error.to_string())?;
        self.transport.send(message).await.map(drop).map_err(|error| error.to_string())
    }
}
