//! The `admin.oidc:` section.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::console::Role;
use crate::identify::{IdentifyError, SigningAlgorithm};
use crate::net::{HttpClient, HttpClientError, SecretError, SecretSource};

/// The `admin.oidc:` section. Addresses that are left out are asked of the provider
/// (`<issuer>/.well-known/openid-configuration`, OpenID Connect Discovery 1.0) at the first log-in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// What `iss` must be, to the letter.
    pub issuer: String,
    /// `authorization_endpoint`.
    #[serde(default)]
    pub authorization_url: Option<String>,
    /// `token_endpoint`: https, or http on loopback.
    #[serde(default)]
    pub token_url: Option<String>,
    /// `jwks_uri`: https, or http on loopback.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// The id of this client at the provider.
    pub client_id: String,
    /// Its secret; a public client has none.
    #[serde(default)]
    pub client_secret: Option<SecretSource>,
    /// The algorithms that id tokens may be signed with.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<SigningAlgorithm>,
    /// What is asked for.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The claim that is the person's id, as in the identities of agents.
    #[serde(default = "default_name_claim")]
    pub name_claim: String,
    /// The claim that lists the person's groups.
    #[serde(default = "default_groups_claim")]
    pub groups_claim: String,
    /// Which groups have which role. Who is in none is not let in.
    pub roles: BTreeMap<Role, Vec<String>>,
    /// The claim that names the tenant that the person is confined to. Where it is configured, who has none is not let in.
    #[serde(default)]
    pub tenant_claim: Option<String>,
    /// How the provider is reached.
    #[serde(default)]
    pub http: HttpClient,
}

fn default_algorithms() -> Vec<SigningAlgorithm> {
    vec![SigningAlgorithm::RS256, SigningAlgorithm::ES256]
}

fn default_scopes() -> Vec<String> {
    ["openid", "email"].map(String::from).to_vec()
}

fn default_name_claim() -> String {
    "email".into()
}

fn default_groups_claim() -> String {
    "groups".into()
}

/// What cannot be used of the section.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// No address to come back to.
    #[error("`admin.oidc` takes `admin.public_url`: the provider sends people back there")]
    PublicUrl,
    /// An address.
    #[error("`admin.oidc.{0}` must be an https address, or http on loopback")]
    Address(&'static str),
    /// The client.
    #[error("`admin.oidc.http`")]
    Client(#[from] HttpClientError),
    /// The issuer.
    #[error("`admin.oidc`")]
    Issuer(#[from] IdentifyError),
    /// The secret.
    #[error("`admin.oidc.client_secret`")]
    Secret(#[from] SecretError),
}
