//! The product's own operations, one function each. What is not there yet says so, and is printed as not measured.
//!
//! Each function makes what the operation needs once and returns a closure that does it once. The closure must put what
//! it reads and what it returns through [`std::hint::black_box`].

use std::path::Path;

use super::micro::INSPECTION;

/// One operation, ready to be done any number of times.
pub(crate) type Operation = Box<dyn FnMut()>;

/// A name and the operation, or why there is none.
type Named = (&'static str, Result<Operation, String>);

/// All of them. `directory` is on the disk that the logs of the run are on.
pub(crate) fn operations(directory: &Path) -> Vec<Named> {
    vec![
        ("evaluate a call against 100 rules", evaluate()),
        ("build, canonicalise and sign a decision entry", entry()),
        ("append to the log until durable, one at a time", append(directory)),
        ("redact the arguments of a call of 1 KiB", redact()),
        (INSPECTION, inspect()),
    ]
}

/// `decide`: the pure function, with identity and session context as of a tenth call.
fn evaluate() -> Result<Operation, String> {
    Err("no policy evaluation in this build".into())
}

/// `record`: statement, envelope, hash, signature; no disk.
fn entry() -> Result<Operation, String> {
    Err("no entries in this build".into())
}

/// `record`: hand over, wait for the fdatasync, be woken.
fn append(_directory: &Path) -> Result<Operation, String> {
    Err("no log in this build".into())
}

/// What removes secrets and shortens arguments before they are written.
fn redact() -> Result<Operation, String> {
    Err("no redaction in this build".into())
}

/// Classification, provenance and secrets of a text of 10 KiB.
fn inspect() -> Result<Operation, String> {
    Err("no result inspection in this build".into())
}
