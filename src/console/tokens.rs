//! Named tokens of people, and the roles they stand for. A token is 256 random bits, so its plain SHA-256 is what is
//! kept, and the digest is the look-up key: how long that takes says nothing about the token.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::model::{Digest, Timestamp};
use crate::net::{RandomError, Secret, random_bytes};

/// What every token starts with, so that scanners for leaked secrets can know one, and an agent's key is none.
pub(super) const PREFIX: &str = "csa_";
/// Longest name of a token or group: it stands in entries.
const NAME_BYTES_MAX: usize = 128;
/// The name of the token that the first start makes.
const FIRST_NAME: &str = "first-admin";

/// What a token permits. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Answers requests that are routed to this person.
    Approver,
    /// Uses controls, and sees everything of the tenants in scope.
    Admin,
}

impl Role {
    /// The word that the configuration uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

/// A token as the configuration lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminToken {
    /// Whose it is: the person's id, as in the identities of agents (`ann@example.com`). Stands in entries.
    pub name: String,
    /// What it permits.
    pub role: Role,
    /// `sha256:` and the digest of the token, as `countersign keys admin` prints it.
    #[serde(alias = "sha256")]
    pub hash: Digest,
    /// The tenant it is confined to; all without.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Groups that requests can be routed to.
    #[serde(default)]
    pub groups: Vec<String>,
    /// From when on it counts no more, RFC 3339 in UTC.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) name: Arc<str>,
    pub(super) role: Role,
    pub(super) tenant: Option<Arc<str>>,
    pub(super) groups: Arc<[Arc<str>]>,
    pub(super) expires: Option<Timestamp>,
}

/// All tokens by digest.
#[derive(Clone, Debug, Default)]
pub struct Tokens(HashMap<Digest, Holder>);

/// The token that the first start made: to be shown once.
#[derive(Debug)]
pub struct FirstToken(pub Secret);

/// Tokens that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Two with one name, or one digest.
    #[error("`admin.tokens`: `{0}` is there twice; give every token a name and a hash of its own")]
    Duplicate(String),
    /// The digest of the first token cannot be kept, or what is kept is none.
    #[error("keep the digest of the first token in `{path}`")]
    Keep {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A name that could break a line of a log.
    #[error("`admin.tokens`: `{0}` must be 1 to {NAME_BYTES_MAX} bytes without control characters")]
    Name(String),
    /// No random bytes.
    #[error("make the first token")]
    Random(#[from] RandomError),
}

/// A new token: the secret, to be shown once, and the digest for the configuration.
///
/// # Errors
/// [`RandomError`] when the operating system has no randomness to give.
pub fn mint() -> Result<(Secret, Digest), RandomError> {
    let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random_bytes::<32>()?));
    let hash = Digest::of(secret.as_bytes());
    Ok((Secret::new(&secret), hash))
}

impl Tokens {
    /// The tokens of a configuration.
    ///
    /// # Errors
    /// [`TokenError`] names the token.
    pub fn new(listed: &[AdminToken]) -> Result<Self, TokenError> {
        let (mut names, mut by_digest) = (HashSet::new(), HashMap::new());
        for token in listed {
            let wrong = std::iter::once(&token.name).chain(&token.groups).chain(&token.tenant).find(|name| !fits(name));
            if let Some(name) = wrong {
                return Err(TokenError::Name(name.escape_debug().take(40).collect()));
            }
            let holder = Holder {
                name: token.name.as_str().into(),
                role: token.role,
                tenant: token.tenant.as_deref().map(Arc::from),
                groups: token.groups.iter().map(|group| Arc::from(group.as_str())).collect(),
                expires: token.expires,
            };
            if !names.insert(&token.name) || by_digest.insert(token.hash, holder).is_some() {
                return Err(TokenError::Duplicate(token.name.clone()));
            }
        }
        Ok(Self(by_digest))
    }

    /// Whom a token stands for now.
    pub(super) fn find(&self, token: &str, now: Timestamp) -> Option<&Holder> {
        self.of_digest(Digest::of(token.as_bytes()), now)
    }

    /// Whom the token of this digest stands for now.
    pub(super) fn of_digest(&self, token: Digest, now: Timestamp) -> Option<&Holder> {
        let holder = self.0.get(&token)?;
        holder.expires.is_none_or(|expires| now < expires).then_some(holder)
    }
}

/// The digest of the first token, made now when there is none. The token itself is written nowhere.
pub(super) fn first(data_dir: &Path) -> Result<(Tokens, Option<FirstToken>), TokenError> {
    let path = data_dir.join("admin-token.sha256");
    let failed = |source| TokenError::Keep { path: path.clone(), source };
    let (hash, shown) = match std::fs::read_to_string(&path) {
        Ok(text) => {
            let broken =
                || std::io::Error::other("it does not hold `sha256:` and 64 digits; remove it for a new token");
            (Digest::parse(text.trim()).ok_or_else(broken).map_err(failed)?, None)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let (secret, hash) = mint()?;
            keep(&path, hash).map_err(failed)?;
            (hash, Some(FirstToken(secret)))
        }
        Err(error) => return Err(failed(error)),
    };
    let token = AdminToken {
        name: FIRST_NAME.into(),
        role: Role::Admin,
        hash,
        tenant: None,
        groups: Vec::new(),
        expires: None,
    };
    Ok((Tokens::new(&[token])?, shown))
}

fn keep(path: &Path, hash: Digest) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{hash}")?;
    file.sync_all()
}

fn fits(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::scratch::Scratch;

    fn token(name: &str, hash: Digest) -> AdminToken {
        let text = format!("{{name: \"{name}\", role: approver, sha256: '{hash}', groups: [finance]}}");
        serde_saphyr::from_str(&text).unwrap()
    }

    #[test]
    fn a_token_is_found_by_its_digest_until_it_expires() {
        let (secret, hash) = mint().unwrap();
        assert!(secret.expose().starts_with(PREFIX));
        let expires = Some(Timestamp::from_secs(100));
        let tokens = Tokens::new(&[AdminToken { expires, ..token("ann", hash) }]).unwrap();
        assert_eq!(&*tokens.find(secret.expose(), Timestamp::from_secs(99)).unwrap().name, "ann");
        assert!(tokens.find(secret.expose(), Timestamp::from_secs(100)).is_none());
        assert!(tokens.find(&hash.to_string(), Timestamp::from_secs(0)).is_none());
    }

    #[test]
    fn tokens_that_say_two_things_are_refused() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert!(matches!(Tokens::new(&[token("x", a), token("x", b)]), Err(TokenError::Duplicate(_))));
        assert!(matches!(Tokens::new(&[token("x", a), token("y", a)]), Err(TokenError::Duplicate(_))));
        assert!(matches!(Tokens::new(&[token("a\\nb", a)]), Err(TokenError::Name(_))));
    }

    #[test]
    fn the_first_token_is_shown_once_and_kept_as_a_digest() {
        let scratch = Scratch::new();
        let folder = scratch.write("x", "").parent().unwrap().join("data");
        let (tokens, shown) = first(&folder).unwrap();
        let secret = shown.unwrap().0;
        assert_eq!(tokens.find(secret.expose(), Timestamp::from_secs(0)).unwrap().role, Role::Admin);
        let (again, shown) = first(&folder).unwrap();
        assert!(shown.is_none() && again.find(secret.expose(), Timestamp::from_secs(0)).is_some());
        let kept = std::fs::read_to_string(folder.join("admin-token.sha256")).unwrap();
        assert!(!kept.contains(secret.expose()));
    }
}
