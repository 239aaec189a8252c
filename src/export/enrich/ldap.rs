//! A directory, asked with one search a value (RFC 4511).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, Scope, SearchEntry, SearchOptions, ldap_escape};
use reqwest::Url;
use tokio::sync::Mutex;

use super::{Answer, LdapConfig, LookingUp, Source};
use crate::model::{Clock, Digest, with_causes};
use crate::net::SecretSource;

/// Time until a connection must stand.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// What the directory itself is asked to stop at, seconds.
const SEARCH_S_MAX: i32 = 5;

/// One that is found, and a second that would make it doubtful who is meant.
const ENTRIES_MAX: i32 = 2;

/// The fields that the AARM telemetry page names, where a configuration names none.
const FIELDS: [&str; 3] = ["department", "manager", "location"];

/// Results of a search that mean an answer: success, and more entries than were asked for (RFC 4511 §4.1.9).
const SUCCESS: u32 = 0;
const SIZE_LIMIT_EXCEEDED: u32 = 4;
const NO_SUCH_OBJECT: u32 = 32;

pub(super) struct Directory {
    url: Url,
    settings: LdapConnSettings,
    base: String,
    filter: String,
    bind: Option<(String, SecretSource)>,
    /// Each field, and the attribute that it comes from.
    fields: Vec<(String, String)>,
    clock: Arc<dyn Clock>,
    /// The connection, while it stands. Searches share it.
    connection: Mutex<Option<Ldap>>,
}

impl Directory {
    pub(super) fn new(config: &LdapConfig, wanted: &[String], clock: Arc<dyn Clock>) -> Result<Self, String> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let text = config.url.clone().or_else(|| variable("LDAPURI"));
        let text = text.ok_or("there is no directory; set `telemetry.lookups.ldap.url`, or the variable LDAPURI")?;
        let url = Url::parse(&text).map_err(|error| format!("`url: {text}`: {error}"))?;
        let base = config.base.clone().or_else(|| variable("LDAPBASE"));
        let base = base.ok_or("set `telemetry.lookups.ldap.base`, or the variable LDAPBASE")?;
        if !config.filter.contains("{value}") {
            return Err("`filter` needs `{value}` where the value belongs".into());
        }
        let bind = match (&config.bind_dn, &config.password) {
            (None, None) => None,
            (Some(name), Some(password)) => Some((name.clone(), password.clone())),
            _ => return Err("`bind_dn` and `password` belong together".into()),
        };
        let is_encrypted = match url.scheme() {
            "ldaps" => true,
            "ldap" => config.start_tls,
            _ => return Err(format!("`url: {text}` is neither `ldaps://` nor `ldap://`")),
        };
        let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if bind.is_some() && !is_encrypted && !is_local {
            return Err("a password would travel in clear; use `ldaps://`, or `start_tls: true`".into());
        }
        let mut settings = LdapConnSettings::new().set_conn_timeout(CONNECT_MAX).set_starttls(config.start_tls);
        if is_encrypted {
            let mut tls = config.tls.build().map_err(|error| with_causes(&error))?;
            // What follows is no HTTP.
            tls.alpn_protocols.clear();
            settings = settings.set_config(Arc::new(tls));
        }
        let fields: Vec<String> = if wanted.is_empty() { FIELDS.map(str::to_owned).into() } else { wanted.to_vec() };
        let attribute = |field: &String| config.attributes.get(field).unwrap_or(field).clone();
        let fields = fields.into_iter().map(|field| (field.clone(), attribute(&field))).collect();
        Ok(Self {
            url,
            settings,
            base,
            filter: config.filter.clone(),
            bind,
            fields,
            clock,
            connection: Mutex::new(None),
        })
    }

    async fn answer(&self, value: &str) -> Result<Option<Answer>, String> {
        let mut ldap = self.connected().await?;
        let found = self.search(&mut ldap, value).await;
        if found.is_err() {
            // The next lookup begins with a new connection.
            *self.connection.lock().await = None;
        }
        found
    }

    async fn connected(&self) -> Result<Ldap, String> {
        let mut kept = self.connection.lock().await;
        if let Some(ldap) = kept.as_mut()
            && !ldap.is_closed()
        {
            return Ok(ldap.clone());
        }
        let failed = |error: ldap3::LdapError| with_causes(&error);
        let (connection, mut ldap) =
            LdapConnAsync::from_url_with_settings(self.settings.clone(), &self.url).await.map_err(failed)?;
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(error = with_causes(&error), "the connection to the directory ended");
            }
        });
        if let Some((name, password)) = &self.bind {
            let password = password.load().map_err(|error| with_causes(&error))?;
            let bound = ldap.simple_bind(name, password.expose()).await.and_then(|result| result.success());
            bound.map_err(failed)?;
        }
        *kept = Some(ldap.clone());
        Ok(ldap)
    }

    async fn search(&self, ldap: &mut Ldap, value: &str) -> Result<Option<Answer>, String> {
        let filter = self.filter.replace("{value}", &ldap_escape(value));
        let attributes: Vec<&str> = self.fields.iter().map(|(_, attribute)| attribute.as_str()).collect();
        let options = SearchOptions::new().sizelimit(ENTRIES_MAX).timelimit(SEARCH_S_MAX);
        let result = ldap.with_search_options(options).search(&self.base, Scope::Subtree, &filter, attributes).await;
        let result = result.map_err(|error| with_causes(&error))?;
        match result.1.rc {
            SUCCESS | SIZE_LIMIT_EXCEEDED => {}
            NO_SUCH_OBJECT => return Ok(None),
            code => return Err(format!("the directory answers {code}: {}", result.1.text)),
        }
        let mut entries = result.0.into_iter().filter(|entry| !entry.is_ref() && !entry.is_intermediate());
        // Several: nobody knows who is meant.
        let (Some(entry), None) = (entries.next(), entries.next()) else { return Ok(None) };
        let entry = SearchEntry::construct(entry);
        Ok(Some(self.fields_of(&entry.dn, &entry.attrs)))
    }

    fn fields_of(&self, dn: &str, attributes: &HashMap<String, Vec<String>>) -> Answer {
        let value = |name: &str| {
            // Names of attributes have no case (RFC 4512 §2.5).
            let found = attributes.iter().find(|(given, _)| given.eq_ignore_ascii_case(name))?.1;
            (!found.is_empty()).then(|| found.join("; "))
        };
        let fields: Vec<(String, String)> =
            self.fields.iter().filter_map(|(field, attribute)| Some((field.clone(), value(attribute)?))).collect();
        let mut whole = dn.to_owned();
        for (name, value) in &fields {
            whole.push_str(&format!("\n{name}\n{value}"));
        }
        Answer::new(fields, Digest::of(whole.as_bytes()).to_string(), self.clock.now())
    }
}

impl Source for Directory {
    fn look_up<'a>(&'a self, value: &'a str) -> LookingUp<'a> {
        Box::pin(self.answer(value))
    }
}
