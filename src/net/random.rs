//! Random bytes from the operating system.

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("read random bytes from the operating system")]
pub struct RandomError(#[source] getrandom::Error);

/// `N` random bytes, fit for keys and salts.
///
/// # Errors
/// [`RandomError`] when the operating system has none to give; nothing may go on without them.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(RandomError)?;
    Ok(bytes)
}
