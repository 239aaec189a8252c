//! Where keys come from: what is configured, else the first place that AWS's own tools would find, in their order.

use std::path::PathBuf;
use std::sync::Arc;

use reqwest::Url;
use serde::Deserialize;

use super::super::SendError;
use super::super::http::{address, client, offload};
use super::ServiceConfig;
use super::instance::{Container, Instance};
use super::profile::Profile;
use super::web_identity::WebIdentity;
use crate::export::ExportError;
use crate::model::Timestamp;
use crate::net::{HttpClient, Secret, SecretSource};

/// Who we are to AWS. With nothing said, the first of these that is there: the variables `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; a token of `AWS_WEB_IDENTITY_TOKEN_FILE` for `AWS_ROLE_ARN`; the
/// profile `AWS_PROFILE` in `~/.aws/credentials` or `~/.aws/config`; the container's service; the machine's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AwsCredentials {
    /// The key's id.
    pub access_key_id: Option<SecretSource>,
    /// The key.
    pub secret_access_key: Option<SecretSource>,
    /// The token that belongs to keys for a short time.
    pub session_token: Option<SecretSource>,
    /// The profile to use.
    pub profile: Option<String>,
    /// The file that profiles stand in; those of AWS's tools by default.
    pub profile_file: Option<PathBuf>,
    /// A token of another identity, which is exchanged for keys of a role.
    pub web_identity: Option<AwsWebIdentity>,
    /// The service that gives keys to this container.
    pub container_url: Option<String>,
    /// Use the role of the machine (IMDSv2).
    pub instance_role: bool,
    /// Another address of the machine's metadata service.
    pub metadata_url: Option<String>,
}

/// A token of another identity (STS, AssumeRoleWithWebIdentity).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsWebIdentity {
    /// The role.
    pub role_arn: String,
    /// The file that the token stands in; read again for every exchange.
    pub token_file: PathBuf,
    /// What the session is called; `countersign` by default.
    pub session_name: Option<String>,
    /// Another address of the token service.
    pub sts_url: Option<String>,
}

/// Keys of a moment.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: Secret,
    pub(super) session_token: Option<Secret>,
    /// When they end; those of files and variables say nothing.
    pub(super) expires: Option<Timestamp>,
}

/// One place that keys come from.
pub(super) enum Source {
    Secrets { id: SecretSource, key: SecretSource, token: Option<SecretSource> },
    Profile(Profile),
    WebIdentity(Arc<WebIdentity>),
    Container(Container),
    Instance(Instance),
}

/// How environment variables are read; tests bring their own.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Source {
    /// # Errors
    /// [`ExportError`]: what is configured, or what the variables name, cannot be used.
    pub(super) fn choose(
        name: &str,
        service: &ServiceConfig<'_>,
        region: &str,
        variables: Variables<'_>,
    ) -> Result<Self, ExportError> {
        let config = service.credentials;
        let local = || client(name, &HttpClient { proxy: None, ..service.http.clone() });
        if let Some(secrets) = Self::secrets(name, config, variables)? {
            return Ok(secrets);
        }
        let from_variables = || {
            let role_arn = variables("AWS_ROLE_ARN")?;
            let token_file = variables("AWS_WEB_IDENTITY_TOKEN_FILE")?.into();
            Some(AwsWebIdentity {
                role_arn,
                token_file,
                session_name: variables("AWS_ROLE_SESSION_NAME"),
                sts_url: None,
            })
        };
        let asks_for_profile = config.profile.is_some() || config.profile_file.is_some();
        let asks_for_service = config.instance_role || config.container_url.is_some();
        let is_open = !asks_for_profile && !asks_for_service;
        if let Some(identity) = config.web_identity.clone().or_else(|| from_variables().filter(|_| is_open)) {
            let identity = WebIdentity::open(name, &identity, region, client(name, service.http)?)?;
            return Ok(Self::WebIdentity(identity.into()));
        }
        if !asks_for_service && let Some(profile) = Profile::find(name, config, variables)? {
            if let Some(identity) = profile.web_identity(name)? {
                let identity = WebIdentity::open(name, &identity, region, client(name, service.http)?)?;
                return Ok(Self::WebIdentity(identity.into()));
            }
            return Ok(Self::Profile(profile));
        }
        if !config.instance_role
            && let Some(container) = Container::find(name, config, variables, local()?)?
        {
            return Ok(Self::Container(container));
        }
        if !config.instance_role && variables("AWS_EC2_METADATA_DISABLED").is_some_and(|off| off == "true") {
            let problem = "nothing says who we are to AWS: name keys, a profile or a role under `credentials`";
            return Err(ExportError::setting(name, problem));
        }
        Ok(Self::Instance(Instance::open(name, config, local()?)?))
    }

    /// Keys by variable or file: those that are configured, else those of the usual variables when both are set.
    fn secrets(name: &str, config: &AwsCredentials, variables: Variables<'_>) -> Result<Option<Self>, ExportError> {
        let secrets = match (&config.access_key_id, &config.secret_access_key) {
            (Some(id), Some(key)) => (id.clone(), key.clone(), config.session_token.clone()),
            (None, None) => {
                let named = |name: &str| variables(name).map(|_| SecretSource::Env(name.into()));
                let other = AwsCredentials { metadata_url: None, ..config.clone() } != AwsCredentials::default();
                let both = named("AWS_ACCESS_KEY_ID").zip(named("AWS_SECRET_ACCESS_KEY")).filter(|_| !other);
                let Some((id, key)) = both else { return Ok(None) };
                (id, key, named("AWS_SESSION_TOKEN"))
            }
            _ => return Err(ExportError::setting(name, "`access_key_id` and `secret_access_key` belong together")),
        };
        let (id, key, token) = secrets;
        for secret in [Some(&id), Some(&key), token.as_ref()].into_iter().flatten() {
            secret.load().map_err(|source| ExportError::Secret { name: name.into(), source: Box::new(source) })?;
        }
        Ok(Some(Self::Secrets { id, key, token }))
    }

    /// Whether asking is cheap enough to be done for every request: files and variables, whose change counts at once.
    pub(super) const fn is_local(&self) -> bool {
        matches!(self, Self::Secrets { .. } | Self::Profile(_))
    }

    /// The keys of this moment.
    ///
    /// # Errors
    /// [`SendError`]: there are none now.
    pub(super) async fn ask(&self) -> Result<Keys, SendError> {
        match self {
            Self::Secrets { id, key, token } => {
                let (id, key, token) = (id.clone(), key.clone(), token.clone());
                offload(move || {
                    let load =
                        |secret: &SecretSource| secret.load().map_err(|error| SendError::later(error.to_string()));
                    Ok(Keys {
                        access_key_id: load(&id)?.expose().to_owned(),
                        secret_access_key: load(&key)?,
                        session_token: token.as_ref().map(load).transpose()?,
                        expires: None,
                    })
                })
                .await
            }
            Self::Profile(profile) => {
                let profile = profile.clone();
                offload(move || profile.keys()).await
            }
            Self::WebIdentity(identity) => identity.keys().await,
            Self::Container(container) => container.keys().await,
            Self::Instance(instance) => instance.keys().await,
        }
    }
}

/// An address from a variable or a key, for the services that give keys.
pub(super) fn service_address(name: &str, text: &str) -> Result<Url, ExportError> {
    address(name, text.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::super::region;
    use super::*;
    use crate::net::scratch::Scratch;

    /// What is chosen where these variables are set.
    fn chosen(config: &AwsCredentials, set: &[(&str, &str)]) -> Result<&'static str, String> {
        let service = ServiceConfig {
            service: "s3",
            region: None,
            endpoint: None,
            credentials: config,
            http: &HttpClient::default(),
        };
        let variables =
            |name: &str| set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
        match Source::choose("s3", &service, "eu-west-1", &variables) {
            Ok(Source::Secrets { .. }) => Ok("secrets"),
            Ok(Source::Profile(_)) => Ok("profile"),
            Ok(Source::WebIdentity(_)) => Ok("web identity"),
            Ok(Source::Container(_)) => Ok("container"),
            Ok(Source::Instance(_)) => Ok("machine"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_first_place_that_is_there_counts() {
        let scratch = Scratch::new();
        let path = |name: &str, text: &str| scratch.write(name, text).display().to_string();
        let token = path("token", "t");
        let profile = path("profile", "[default]\naws_access_key_id=A\naws_secret_access_key=B\n");
        let identity = [("AWS_ROLE_ARN", "arn:aws:iam::1:role/a"), ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str())];
        let files = ("AWS_SHARED_CREDENTIALS_FILE", profile.as_str());
        let container = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials");
        let none = AwsCredentials::default();
        let all = [identity[0], identity[1], files, container];
        assert_eq!(chosen(&none, &all).unwrap(), "web identity");
        assert_eq!(chosen(&none, &all[2..]).unwrap(), "profile");
        assert_eq!(chosen(&none, &all[3..]).unwrap(), "container");
        assert_eq!(chosen(&none, &[]).unwrap(), "machine");
        // What is configured comes before what is found.
        let machine = AwsCredentials { instance_role: true, ..none.clone() };
        assert_eq!(chosen(&machine, &all).unwrap(), "machine");
        let named = AwsCredentials { profile: Some("default".into()), ..none.clone() };
        assert_eq!(chosen(&named, &all).unwrap(), "profile");
        let file = |name| Some(SecretSource::File(scratch.path(name)));
        let keys = AwsCredentials { access_key_id: file("token"), secret_access_key: file("token"), ..none.clone() };
        assert_eq!(chosen(&keys, &all).unwrap(), "secrets");
    }

    #[test]
    fn half_a_pair_and_nothing_at_all_are_refused() {
        let half = AwsCredentials { access_key_id: Some(SecretSource::Env("X".into())), ..AwsCredentials::default() };
        assert!(chosen(&half, &[]).unwrap_err().contains("belong together"));
        let nowhere = chosen(&AwsCredentials::default(), &[("AWS_EC2_METADATA_DISABLED", "true")]);
        assert!(nowhere.unwrap_err().contains("nothing says who we are to AWS"));
        let elsewhere = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.169.254/keys");
        assert!(chosen(&AwsCredentials::default(), &[elsewhere]).unwrap_err().contains("only over https"));
    }

    #[test]
    fn s1_9_the_region_comes_from_the_variables_of_aws() {
        let variables = |name: &str| (name == "AWS_REGION").then(|| "eu-central-1".to_owned());
        assert_eq!(region(Some("us-west-2"), &variables), "us-west-2");
        assert_eq!(region(None, &variables), "eu-central-1");
        assert_eq!(region(None, &|_| None), "us-east-1");
    }
}
