//! Profiles in the files of AWS's tools: `~/.aws/credentials` with `[NAME]`, `~/.aws/config` with `[profile NAME]`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::super::SendError;
use super::source::{AwsCredentials, AwsWebIdentity, Keys, Variables};
use crate::export::ExportError;
use crate::net::Secret;

/// Largest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What profiles can say that is not done here, by the key that asks for it.
const NOT_DONE: [&str; 4] = ["credential_process", "source_profile", "credential_source", "sso_session"];

type Settings = BTreeMap<String, String>;

/// A profile, by name. Its files are read again for every request, so that new keys count at once.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    name: String,
    files: Vec<PathBuf>,
}

impl Profile {
    /// The profile that is configured or named by `AWS_PROFILE`, else `default` where it is.
    ///
    /// # Errors
    /// [`ExportError::Setting`]: a profile that was asked for is not there, or says what is not done here.
    pub(super) fn find(
        name: &str,
        config: &AwsCredentials,
        variables: Variables<'_>,
    ) -> Result<Option<Self>, ExportError> {
        let home = variables("HOME").map(|home| Path::new(&home).join(".aws"));
        let file = |variable: &str, usual: &str| {
            variables(variable).map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join(usual)))
        };
        let files = match &config.profile_file {
            Some(file) => vec![file.clone()],
            None => [file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), file("AWS_CONFIG_FILE", "config")]
                .into_iter()
                .flatten()
                .collect(),
        };
        let asked = config.profile.clone().or_else(|| variables("AWS_PROFILE"));
        let is_asked = asked.is_some() || config.profile_file.is_some();
        let profile = Self { name: asked.unwrap_or_else(|| "default".into()), files };
        let problem = |problem| ExportError::setting(name, problem);
        let settings = match profile.read() {
            Ok(settings) if settings.is_empty() && !is_asked => return Ok(None),
            Ok(settings) if settings.is_empty() => {
                return Err(problem(format!("there is no profile `{}` of AWS in {:?}", profile.name, profile.files)));
            }
            Ok(settings) => settings,
            Err(error) => return Err(problem(error)),
        };
        if let Some(key) = NOT_DONE.iter().find(|key| settings.contains_key(**key)) {
            let name = &profile.name;
            let text = format!("the profile `{name}` has `{key}`, which is not read here: use `web_identity` or keys");
            return Err(problem(text));
        }
        let is_whole = settings.contains_key("role_arn")
            || settings.contains_key("aws_access_key_id") && settings.contains_key("aws_secret_access_key");
        match (is_whole, is_asked) {
            (true, _) => Ok(Some(profile)),
            // A profile that only says a region, say.
            (false, false) => Ok(None),
            (false, true) => Err(problem(format!("the profile `{}` of AWS has no keys", profile.name))),
        }
    }

    /// The role that the profile takes on with a token of another identity.
    ///
    /// # Errors
    /// [`ExportError::Setting`]: a role without a token.
    pub(super) fn web_identity(&self, name: &str) -> Result<Option<AwsWebIdentity>, ExportError> {
        let mut settings = self.read().map_err(|problem| ExportError::setting(name, problem))?;
        let Some(role_arn) = settings.remove("role_arn") else { return Ok(None) };
        let token_file = settings.remove("web_identity_token_file").ok_or_else(|| {
            let problem = format!("the profile `{}` has `role_arn` without `web_identity_token_file`", self.name);
            ExportError::setting(name, problem)
        })?;
        Ok(Some(AwsWebIdentity {
            role_arn,
            token_file: token_file.into(),
            session_name: settings.remove("role_session_name"),
            sts_url: None,
        }))
    }

    /// The keys of this moment. Reads the disk.
    ///
    /// # Errors
    /// [`SendError::Later`]: the file is being replaced, or lacks them now.
    pub(super) fn keys(&self) -> Result<Keys, SendError> {
        let mut settings = self.read().map_err(SendError::later)?;
        let missing = || SendError::later(format!("the profile `{}` of AWS has no keys now", self.name));
        Ok(Keys {
            access_key_id: settings.remove("aws_access_key_id").ok_or_else(missing)?,
            secret_access_key: Secret::new(&settings.remove("aws_secret_access_key").ok_or_else(missing)?),
            session_token: settings.remove("aws_session_token").map(|token| Secret::new(&token)),
            expires: None,
        })
    }

    /// What the files say; the first one that says something about a key counts.
    fn read(&self) -> Result<Settings, String> {
        let mut found = Settings::new();
        for path in &self.files {
            let mut text = String::new();
            match File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text)) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(format!("read `{}`: {error}", path.display())),
            }
            for (key, value) in section(&text, &self.name) {
                found.entry(key.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
        Ok(found)
    }
}

/// The settings in the sections of a profile.
fn section<'a>(text: &'a str, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        let trimmed = line.trim();
        if let Some(title) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let title = title.trim();
            inside = title == name || title.strip_prefix("profile ").is_some_and(|title| title.trim() == name);
            return None;
        }
        // Indented lines belong to a setting above them.
        let is_setting = inside && !line.starts_with([' ', '\t']) && !trimmed.starts_with(['#', ';']);
        let (key, value) = trimmed.split_once('=').filter(|_| is_setting)?;
        Some((key.trim(), value.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::scratch::Scratch;

    fn find(home: &Path, profile: Option<&str>) -> Result<Option<Profile>, String> {
        let variables = |name: &str| match name {
            "HOME" => Some(home.display().to_string()),
            "AWS_PROFILE" => profile.map(str::to_owned),
            _ => None,
        };
        Profile::find("s3", &AwsCredentials::default(), &variables).map_err(|error| error.to_string())
    }

    #[test]
    fn profiles_are_found_as_the_tools_of_aws_find_them() {
        let scratch = Scratch::new();
        let home = scratch.path("home");
        assert!(find(&home, None).unwrap().is_none(), "no file, no profile");
        std::fs::create_dir_all(home.join(".aws")).unwrap();
        let config = "[default]\nregion = eu-west-1\n[profile audit]\nrole_arn=arn:aws:iam::1:role/a\ns3 =\n  style = path\n\
                      web_identity_token_file=/t\n[profile chained]\nrole_arn = x\nsource_profile = default\n";
        std::fs::write(home.join(".aws/config"), config).unwrap();
        assert!(find(&home, None).unwrap().is_none(), "a region is no key");
        let audit = find(&home, Some("audit")).unwrap().unwrap();
        let identity = audit.web_identity("s3").unwrap().unwrap();
        assert_eq!((identity.role_arn.as_str(), identity.token_file), ("arn:aws:iam::1:role/a", "/t".into()));
        let credentials = "# mine\n[default]\naws_access_key_id = AKID\naws_secret_access_key=canary\n\
                           [other]\naws_access_key_id = no\n";
        std::fs::write(home.join(".aws/credentials"), credentials).unwrap();
        let keys = find(&home, None).unwrap().unwrap().keys().unwrap();
        assert_eq!((keys.access_key_id.as_str(), keys.secret_access_key.expose()), ("AKID", "canary"));
        assert!(keys.session_token.is_none());
        for (profile, problem) in [("chained", "source_profile"), ("absent", "no profile"), ("other", "no keys")] {
            let refused = find(&home, Some(profile)).unwrap_err();
            assert!(refused.contains(problem) && !refused.contains("canary"), "{refused}");
        }
    }
}
