//! Signed policy bundles: all policy files of an instance in one document, signed by whoever wrote them and by somebody
//! else who looked at them, with a serial that never goes back.
//!
//! Whoever can write the file alone can change nothing: a bundle that lacks one of the two signatures, whose two signatures
//! are of one person, or that is older than one that was in force, does not load.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::decide::PolicySource;
use crate::model::{Digest, with_causes};
use crate::record::{PublicKey, SignedDocument, SigningKey};

/// What a bundle is, as its envelope says.
pub const BUNDLE_KIND: &str = "application/vnd.countersign.policy-bundle.v1+json";

/// The `policy_bundle:` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleConfig {
    /// The bundle.
    pub file: PathBuf,
    /// Who may write policies.
    pub authors: Vec<Signer>,
    /// Who may approve what others wrote.
    pub approvers: Vec<Signer>,
}

/// A person and the public key that stands for them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// Who.
    pub name: String,
    /// The public key, PEM (`openssl pkey -pubout`).
    pub key: PathBuf,
}

impl Signer {
    pub(super) fn read(&self) -> Result<PublicKey, ConfigError> {
        let path = self.key.display();
        let wrong = |problem: String| ConfigError::Value { key: format!("the key of `{}`", self.name), problem };
        let text = std::fs::read_to_string(&self.key).map_err(|error| wrong(format!("read `{path}`: {error}")))?;
        PublicKey::from_pem(&text).ok_or_else(|| wrong(format!("`{path}` is no public Ed25519 key in PEM")))
    }
}

/// What is signed.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    serial: u64,
    files: Vec<File>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    text: String,
}

/// The newest bundle that was in force.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Newest {
    serial: u64,
    digest: Digest,
}

/// A bundle file with who must have signed it.
#[derive(Clone, Debug)]
pub struct Bundle {
    config: BundleConfig,
    data_dir: PathBuf,
}

impl Bundle {
    /// The bundle of an instance whose state lies in `data_dir`.
    #[must_use]
    pub const fn new(config: BundleConfig, data_dir: PathBuf) -> Self {
        Self { config, data_dir }
    }

    /// Reads the bundle, if it may be in force.
    ///
    /// # Errors
    /// [`ConfigError`]: unreadable, a signature is missing, or it is older than one that was in force.
    pub fn sources(&self) -> Result<Vec<PolicySource>, ConfigError> {
        self.read().map(|(_, sources)| sources)
    }

    /// Remembers that the bundle that `sources` were read from is in force: no older one will be.
    ///
    /// # Errors
    /// [`ConfigError`]: it was changed since, or cannot be remembered.
    pub fn accept(&self, sources: &[PolicySource]) -> Result<(), ConfigError> {
        let (newest, found) = self.read()?;
        if found != sources {
            return Err(self.refused("it was changed while it was read: load it again".into()));
        }
        let path = self.state();
        let failed = |error: std::io::Error| self.refused(format!("write `{}`: {error}", path.display()));
        let text = serde_json::to_vec(&newest).unwrap_or_default();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let written = path.with_extension("new");
        let mut file = std::fs::File::create(&written).map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&written, &path).map_err(failed)
    }

    /// What the bundle is and holds, if it may be in force.
    fn read(&self) -> Result<(Newest, Vec<PolicySource>), ConfigError> {
        let (content, digest) = self.open()?;
        let serial = content.serial;
        if let Some(Newest { serial: known, digest: other }) = self.newest()? {
            if serial < known {
                let problem = format!("serial {serial} is older than {known}, which was in force: sign a newer one");
                return Err(self.refused(problem));
            }
            if serial == known && digest != other {
                return Err(self.refused(format!("another bundle with serial {serial} was in force: sign a newer one")));
            }
        }
        let file = self.config.file.display();
        let source = |part: File| PolicySource { name: format!("{file}:{}", part.name), text: part.text };
        Ok((Newest { serial, digest }, content.files.into_iter().map(source).collect()))
    }

    fn open(&self) -> Result<(Content, Digest), ConfigError> {
        let text = std::fs::read(&self.config.file).map_err(|error| self.refused(format!("read it: {error}")))?;
        let document = SignedDocument::read(BUNDLE_KIND, &text).map_err(|error| self.refused(with_causes(&error)))?;
        let signed = |signers: &[Signer]| -> Result<Vec<(String, PublicKey)>, ConfigError> {
            let keys = signers.iter().map(|signer| Ok((signer.name.to_lowercase(), signer.read()?)));
            let keys = keys.collect::<Result<Vec<_>, ConfigError>>()?;
            Ok(keys.into_iter().filter(|(_, key)| document.is_signed_by(key)).collect())
        };
        let (authors, approvers) = (signed(&self.config.authors)?, signed(&self.config.approvers)?);
        if authors.is_empty() {
            return Err(self.refused("none of `authors` has signed it".into()));
        }
        // One person's two keys are one pair of eyes, and one key under two names as well.
        let seconded = |(name, key): &(String, PublicKey)| {
            approvers.iter().any(|(other, other_key)| name != other && key != other_key)
        };
        if !authors.iter().any(seconded) {
            return Err(self.refused("nobody of `approvers` but its author has signed it".into()));
        }
        let content: Content = serde_json::from_slice(&document.payload)
            .map_err(|error| self.refused(format!("what is signed cannot be read: {error}")))?;
        Ok((content, Digest::of(&document.payload)))
    }

    fn newest(&self) -> Result<Option<Newest>, ConfigError> {
        let path = self.state();
        // Without it nobody knows what was in force: nothing is loaded rather than anything.
        let unreadable = |error: String| self.refused(format!("`{}` cannot be read: {error}", path.display()));
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| unreadable(error.to_string()))
    }

    fn state(&self) -> PathBuf {
        self.data_dir.join("policies").join("bundle.json")
    }

    fn refused(&self, problem: String) -> ConfigError {
        let problem = format!("`{}`: {problem}", self.config.file.display());
        ConfigError::Value { key: "policy_bundle".into(), problem }
    }
}

/// Makes a bundle of these files, without any signature.
#[must_use]
pub fn make_bundle(serial: u64, sources: &[PolicySource]) -> SignedDocument {
    let name = |source: &PolicySource| {
        let name = Path::new(&source.name).file_name().and_then(|name| name.to_str());
        name.unwrap_or(&source.name).to_owned()
    };
    let files = sources.iter().map(|source| File { name: name(source), text: source.text.clone() }).collect();
    SignedDocument::new(BUNDLE_KIND, serde_json::to_vec(&Content { serial, files }).unwrap_or_default())
}

/// Reads a private key that signs documents; others than its owner must not be able to.
///
/// # Errors
/// A sentence for the person who named the file.
pub fn signing_key(path: &Path) -> Result<SigningKey, String> {
    use std::os::unix::fs::PermissionsExt as _;
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| format!("read `{shown}`: {error}"))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!("others can read `{shown}`: chmod 600"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("read `{shown}`: {error}"))?;
    let advice = "make one with: openssl genpkey -algorithm ed25519";
    SigningKey::from_pem(&text).ok_or_else(|| format!("`{shown}` is no private Ed25519 key in PEM; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::scratch::Scratch;

    struct Office {
        scratch: Scratch,
        maya: SigningKey,
        ann: SigningKey,
    }

    impl Office {
        fn new() -> Self {
            let (maya, ann) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
            let scratch = Scratch::new();
            std::fs::write(scratch.path("maya.pem"), maya.public().to_pem()).unwrap();
            std::fs::write(scratch.path("ann.pem"), ann.public().to_pem()).unwrap();
            Self { scratch, maya, ann }
        }

        fn bundle(&self, approver: &str) -> Bundle {
            let signer = |name: &str, key: &str| Signer { name: name.into(), key: self.scratch.path(key) };
            let config = BundleConfig {
                file: self.scratch.path("bundle.json"),
                authors: vec![signer("maya", "maya.pem")],
                approvers: vec![signer(approver, "ann.pem"), signer("maya", "maya.pem")],
            };
            Bundle::new(config, self.scratch.path("data"))
        }

        fn write(&self, serial: u64, text: &str, keys: &[&SigningKey]) {
            let source = PolicySource { name: "x/mail.yaml".into(), text: text.into() };
            let mut document = make_bundle(serial, &[source]);
            keys.iter().for_each(|key| document.sign(key));
            std::fs::write(self.scratch.path("bundle.json"), document.to_text()).unwrap();
        }
    }

    fn refusal(bundle: &Bundle) -> String {
        bundle.sources().unwrap_err().to_string()
    }

    #[test]
    fn two_different_people_sign() {
        let office = Office::new();
        let bundle = office.bundle("ann");
        office.write(1, "rules: []", &[&office.maya, &office.ann]);
        let sources = bundle.sources().unwrap();
        assert_eq!((sources.len(), &*sources[0].text), (1, "rules: []"));
        assert!(sources[0].name.ends_with("bundle.json:mail.yaml"));
        assert!(refusal(&office.bundle("Maya")).contains("nobody of `approvers`"), "two keys of one person");
        office.write(1, "rules: []", &[&office.maya]);
        assert!(refusal(&bundle).contains("nobody of `approvers` but its author"), "maya is an approver too");
        office.write(1, "rules: []", &[&office.ann]);
        assert!(refusal(&bundle).contains("none of `authors`"));
        office.write(1, "rules: []", &[]);
        assert!(refusal(&bundle).contains("none of `authors`"));
        office.write(1, "rules: []", &[&office.maya, &SigningKey::generate().unwrap()]);
        assert!(refusal(&bundle).contains("nobody of `approvers`"));
        office.write(1, "rules: []", &[&office.maya, &office.ann]);
        let text = std::fs::read_to_string(office.scratch.path("bundle.json")).unwrap();
        let mut changed: serde_json::Value = serde_json::from_str(&text).unwrap();
        changed["payload"] = "eyJzZXJpYWwiOjksImZpbGVzIjpbXX0=".into();
        std::fs::write(office.scratch.path("bundle.json"), changed.to_string()).unwrap();
        assert!(refusal(&bundle).contains("none of `authors`"), "the signatures are of another text");
    }

    #[test]
    fn no_older_bundle_follows() {
        let office = Office::new();
        let bundle = office.bundle("ann");
        let both = [&office.maya, &office.ann];
        office.write(6, "rules: []", &both);
        bundle.sources().unwrap();
        office.write(7, "rules: []", &both);
        let sources = bundle.sources().unwrap();
        bundle.accept(&sources).unwrap();
        bundle.sources().unwrap();
        office.write(6, "rules: []", &both);
        assert!(refusal(&bundle).contains("serial 6 is older than 7"));
        office.write(7, "rules: [] # other", &both);
        assert!(refusal(&bundle).contains("another bundle with serial 7"));
        office.write(8, "rules: [] # other", &both);
        let sources = bundle.sources().unwrap();
        // Somebody puts another one there between the two looks: what was compiled is not what is remembered.
        office.write(9, "rules: [] # swapped", &both);
        assert!(bundle.accept(&sources).unwrap_err().to_string().contains("changed while it was read"));
        office.write(6, "rules: []", &both);
        assert!(bundle.accept(&sources).unwrap_err().to_string().contains("serial 6 is older than 7"));
        office.write(8, "rules: [] # other", &both);
        bundle.accept(&sources).unwrap();
        std::fs::write(bundle.state(), "{").unwrap();
        assert!(refusal(&bundle).contains("cannot be read"), "what was in force must be known");
    }
}
