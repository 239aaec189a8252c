//! What can go wrong, and what to do about it.

use std::path::PathBuf;

use crate::context::classification::ClassificationError;
use crate::decide::PolicyErrors;

#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("prepare the classification of results: {0}")]
    Classifier(#[from] ClassificationError),
    #[error("{}:{line}: {field}: {what}; {remedy}", path.display())]
    Line { path: PathBuf, line: usize, field: String, what: String, remedy: &'static str },
    #[error("{replayed} of {runs} runs were replayed; run it again, and report it if it stays so")]
    Lost { replayed: usize, runs: usize },
    #[error("{0}")]
    Policies(PolicyErrors),
    #[error("read `{}`: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{}` holds more than {max} bytes; split it", path.display())]
    TooLarge { path: PathBuf, max: u64 },
    #[error("write `{}`: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}
