//! Settings under names that a vendor's own tools, or those of AITF, give to environment variables. A key of the
//! configuration always comes first.

use super::http::either;
use crate::export::ExportError;
use crate::net::SecretSource;

/// The value of an environment variable that is not empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A setting that must be there: the configured one, else that of a variable.
///
/// # Errors
/// [`ExportError::Setting`]: neither is there.
pub(super) fn text(name: &str, key: &str, given: Option<&String>, usual: &str) -> Result<String, ExportError> {
    given.cloned().or_else(|| variable(usual)).ok_or_else(|| {
        ExportError::setting(name, format!("`{key}` is missing, and so is the variable `{usual}` that it is read from"))
    })
}

/// The secret under one of two keys (see [`either`]), else in the usual variable when that is set.
///
/// # Errors
/// As [`either`].
pub(super) fn secret(
    name: &str,
    key: &str,
    source: Option<&SecretSource>,
    environment: Option<&String>,
    usual: &str,
) -> Result<SecretSource, ExportError> {
    if source.is_none() && environment.is_none() && variable(usual).is_some() {
        return Ok(SecretSource::Env(usual.into()));
    }
    either(name, key, source, environment)
}

/// Whether a variable that is a switch is on; `None` when it is not set.
///
/// # Errors
/// [`ExportError::Setting`]: it says neither.
pub(super) fn switch(name: &str, variable_name: &str) -> Result<Option<bool>, ExportError> {
    let Some(text) = variable(variable_name) else { return Ok(None) };
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(Some(true)),
        "false" | "0" | "no" | "off" => Ok(Some(false)),
        _ => Err(ExportError::setting(name, format!("the variable `{variable_name}` is neither `true` nor `false`"))),
    }
}
