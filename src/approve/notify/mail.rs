//! Messages by mail over SMTP.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::{MailConfig, MailSecurity, Notice, NotifyError};

/// How long the server may take for one message.
const TIMEOUT: Duration = Duration::from_secs(20);

/// One mail server and who gets the mail.
pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mail {
    pub(super) fn new(name: &str, config: &MailConfig) -> Result<Self, NotifyError> {
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
        let to = config.to.iter().map(mailbox).collect::<Result<Vec<Mailbox>, _>>()?;
        if to.is_empty() {
            return Err(wrong("name somebody under `to`".into()));
        }
        Ok(Self { transport: builder.timeout(Some(TIMEOUT)).build(), from: mailbox(&config.from)?, to })
    }

    /// Sends one message to everybody.
    pub(super) async fn send(&self, notice: &Notice) -> Result<(), String> {
        let mut builder = Message::builder().from(self.from.clone()).subject(notice.title());
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let mut text = notice.title();
        for line in notice.lines() {
            text.push_str("\r\n");
            text.push_str(&line);
        }
        let message = builder.header(ContentType::TEXT_PLAIN).body(text).map_err(|error| error.to_string())?;
        self.transport.send(message).await.map(drop).map_err(|error| error.to_string())
    }
}
