//! A strict, one-pass reader of JSON text (RFC 8259) that keeps the text.
//!
//! What is forwarded, hashed and signed is the text that came, so nothing here turns a document into a tree of values
//! and back. [`scan`] checks the whole text once and notes where each value stands; a [`View`] then answers questions
//! about it. Two readers of one text must never disagree about what it says, so everything that parsers are known to
//! treat differently is refused: duplicate member names at any depth (compared after unescaping), bytes behind the
//! value, byte order marks, bad UTF-8, lone surrogates, control characters, `NaN`, and nesting or sizes past a limit.

mod alike;
mod canonical;
mod names;
mod scanner;
mod view;

pub use alike::{Alike, scan_alike};
pub use canonical::{is_canonical, write_string};
pub(crate) use names::name_key;
pub use scanner::{JsonError, Limits, scan};
pub use view::{Kind, View};

use scanner::Node;

/// A checked JSON text: the text's own bytes stay with the caller, the places of its values are here.
#[derive(Clone, Debug, Default)]
pub struct Document {
    nodes: Vec<Node>,
}

impl Document {
    /// The top-level value of `text`, which must be the text that was scanned.
    #[must_use]
    pub fn root<'a>(&'a self, text: &'a str) -> View<'a> {
        View::new(text, &self.nodes, 0)
    }

    /// The value at a [`View::place`] of `text`, which must be the text that was scanned. Null when there is none.
    #[must_use]
    pub fn at<'a>(&'a self, text: &'a str, place: usize) -> View<'a> {
        View::new(text, &self.nodes, place)
    }

    /// How many values the document holds, itself included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never true: a document holds at least its top-level value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}
