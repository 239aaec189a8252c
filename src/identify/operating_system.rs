//! The user of the operating system, for clients that speak over standard input and output (`wrap`).

use std::sync::Arc;

use super::IdentifyError;
use super::rejection::{Rejection, is_name};
use crate::model::{Claim, Identity, Timestamp, Verification};

/// Who a stdio client is: the person whose process it is. The operating system vouches for the user, for nothing else:
/// the agent stays unnamed.
pub(super) fn identity(user: Option<&Arc<str>>, now: Timestamp) -> Result<Identity, Rejection> {
    let user = user.filter(|user| is_name(user)).ok_or(Rejection::OperatingSystem)?;
    let verification = Verification::OperatingSystem;
    Ok(Identity {
        human: Some(Claim { value: Arc::clone(user), verification }),
        verification,
        verified_at: Some(now),
        ..Identity::default()
    })
}

/// The user this process runs as, by its effective id: the environment (`USER`) is the caller's own word and is not
/// asked. A user without a name is `uid:` and the number.
///
/// # Errors
/// [`IdentifyError::OperatingSystemUser`] where there is no `/proc`.
pub fn current_user() -> Result<Arc<str>, IdentifyError> {
    let failed = |error: std::io::Error| IdentifyError::OperatingSystemUser(error.to_string());
    let id = effective_id().map_err(failed)?;
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    Ok(name_of(id, &accounts).map_or_else(|| format!("uid:{id}").into(), Arc::from))
}

#[cfg(unix)]
fn effective_id() -> std::io::Result<u32> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").map(|metadata| metadata.uid())
}

#[cfg(not(unix))]
fn effective_id() -> std::io::Result<u32> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
}

/// The name behind a user id in the format of passwd(5).
fn name_of(id: u32, accounts: &str) -> Option<&str> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| is_name(name))?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == id).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_verified_by_the_operating_system() {
        let now = Timestamp::from_secs(7);
        let identity = identity(Some(&"alice".into()), now).unwrap();
        assert_eq!(identity.verification, Verification::OperatingSystem);
        assert_eq!(identity.human.map(|human| human.value), Some("alice".into()));
        assert_eq!((identity.agent, identity.verified_at), (None, Some(now)));
        assert_eq!(super::identity(None, now), Err(Rejection::OperatingSystem));
        assert_eq!(super::identity(Some(&"".into()), now), Err(Rejection::OperatingSystem));
    }

    #[test]
    fn a_user_id_becomes_a_name() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:7::\nalice:x:1000:1000:A:/home/alice:/bin/sh\n";
        assert_eq!(name_of(1_000, accounts), Some("alice"));
        assert_eq!(name_of(7, accounts), None);
        assert_eq!(name_of(42, accounts), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_a_user() {
        use std::os::unix::fs::MetadataExt as _;
        let scratch = crate::net::scratch::Scratch::new();
        let owner = std::fs::metadata(scratch.write("mine", "")).unwrap().uid();
        assert_eq!(effective_id().unwrap(), owner, "a file made now belongs to the effective user");
        assert!(is_name(&current_user().unwrap()));
    }
}
