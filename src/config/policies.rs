//! The policy files of a configuration: read, compiled, and kept by their digests for as long as receipts name them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Bundle, ConfigError, Plan};
use crate::decide::{PolicySet, PolicySource, Settings, UnverifiedIdentity, shipped_default};
use crate::identify::Unverified;
use crate::model::Digest;

/// Where policies come from, and the settings around them.
#[derive(Clone, Debug)]
pub struct PolicyFiles {
    /// Files, and folders of them.
    pub paths: Vec<PathBuf>,
    /// Instead of them: the bundle that they name.
    pub bundle: Option<Bundle>,
    /// The settings.
    pub settings: Settings,
}

impl PolicyFiles {
    /// What a plan names.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut settings: Settings = plan.config.policy.clone();
        settings.identity = match plan.config.identity.unverified {
            Some(Unverified::Deny) => UnverifiedIdentity::Deny,
            Some(Unverified::Flag) => UnverifiedIdentity::Flag,
            // Without any credentials, on loopback, identities are flagged and the start-up says so (design §14.5).
            None if !plan.config.identity.authenticates() => UnverifiedIdentity::Flag,
            None => UnverifiedIdentity::Deny,
        };
        settings.approvers = plan.serves_people();
        let table = plan.config.sessions.drift.static_table.as_ref();
        settings.distance_table = table.and_then(|table| table.digest().ok());
        settings.listed_agents_only |= plan.config.agents.is_some();
        let bundle = plan.config.policy_bundle.clone();
        let paths = bundle.as_ref().map_or_else(|| plan.policies.clone(), |bundle| vec![bundle.file.clone()]);
        Self { paths, bundle: bundle.map(|bundle| Bundle::new(bundle, plan.data_dir.clone())), settings }
    }

    /// Reads every file; the shipped default when there is none. A folder stands for its `.yaml` and `.yml` files.
    ///
    /// # Errors
    /// [`ConfigError::ReadPolicy`]: a file cannot be read.
    pub fn sources(&self) -> Result<Vec<PolicySource>, ConfigError> {
        if let Some(bundle) = &self.bundle {
            return bundle.sources();
        }
        let mut sources = Vec::new();
        for path in &self.paths {
            for path in files(path)? {
                let text = std::fs::read_to_string(&path).map_err(|source| failed(&path, source))?;
                sources.push(PolicySource { name: path.display().to_string(), text });
            }
        }
        if sources.is_empty() && self.paths.is_empty() {
            sources = shipped_default();
        }
        Ok(sources)
    }

    /// What was read is in force from now on: of a bundle, no older one will be.
    ///
    /// # Errors
    /// [`ConfigError`]: that cannot be remembered, or the bundle was changed since.
    pub fn accept(&self, sources: &[PolicySource]) -> Result<(), ConfigError> {
        self.bundle.as_ref().map_or(Ok(()), |bundle| bundle.accept(sources))
    }

    /// Compiles what was read, and runs the tests inside.
    ///
    /// # Errors
    /// [`ConfigError::Policies`]: everything that is wrong.
    pub fn compile(&self, sources: &[PolicySource]) -> Result<PolicySet, ConfigError> {
        PolicySet::compile(sources, &self.settings).map_err(|errors| ConfigError::Policies(errors.to_string()))
    }
}

fn failed(path: &Path, source: std::io::Error) -> ConfigError {
    ConfigError::ReadPolicy { path: path.to_owned(), source }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|source| failed(path, source))? {
        let path = entry.map_err(|source| failed(path, source))?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Loads and compiles the policies of a plan.
///
/// # Errors
/// [`ConfigError`]: a file cannot be read, or does not load.
pub fn check_policies(plan: &Plan) -> Result<PolicySet, ConfigError> {
    let files = PolicyFiles::of(plan);
    files.compile(&files.sources()?)
}

/// Keeps the text of every policy under its digest, `policies/<digest>.yaml`, so that whoever holds a receipt finds the
/// rules that it names. Never overwritten.
///
/// # Errors
/// The text is not there and cannot be written.
pub(super) fn keep(data_dir: &Path, sources: &[PolicySource]) -> std::io::Result<()> {
    let folder = data_dir.join("policies");
    std::fs::create_dir_all(&folder)?;
    for source in sources {
        let path = folder.join(format!("{}.yaml", Digest::of(source.text.as_bytes()).to_hex()));
        if path.exists() {
            continue;
        }
        // Whole or not at all: a text that was cut off would not be the one of its digest.
        let written = folder.join(format!(".{}.part", std::process::id()));
        let mut file = std::fs::File::create(&written)?;
        file.write_all(source.text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&written, &path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::scratch::Scratch;

    #[test]
    fn texts_are_kept_by_their_digest() {
        let scratch = Scratch::new();
        let source = |text: &str| PolicySource { name: "x.yaml".into(), text: text.into() };
        let folder = scratch.path("data");
        keep(&folder, &[source("a"), source("b")]).unwrap();
        keep(&folder, &[source("a")]).unwrap();
        let path = folder.join("policies").join(format!("{}.yaml", Digest::of(b"a").to_hex()));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "a");
        assert_eq!(std::fs::read_dir(folder.join("policies")).unwrap().count(), 2);
    }
}
