//! How the arguments of an action stand in its entries.

use serde::{Deserialize, Serialize};

use super::{Domain, SaltKey, Text, commit_field, fitting};
use crate::model::json::Kind;
use crate::model::{ActionId, Digest};
use crate::record::redact::{self, Redacted};

/// The longest `text` of the arguments as they came, bytes inside the JSON string.
pub(crate) const PARAMETERS_TEXT_MAX: usize = 8_192;
/// The longest `text` of the arguments as they were forwarded.
pub(crate) const FORWARDED_TEXT_MAX: usize = 4_096;
/// Most arguments that get a commitment of their own. More are still bound by `hash`.
pub(crate) const FIELDS_MAX: usize = 40;
/// The longest name of an argument that gets a commitment of its own, bytes.
pub(crate) const FIELD_NAME_MAX: usize = 64;

/// How much of the arguments is kept. Chosen by policy and classification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParametersMode {
    /// Commitments to each argument in the entry, the redacted text in the vault.
    Commit,
    /// A digest, nothing else.
    DigestOnly,
    /// The text exactly as it came; `redacted` when a secret was found in it.
    Inline,
    /// The text with secrets replaced.
    #[default]
    Redacted,
}

/// The arguments of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParametersBlock<'a> {
    /// Bytes of the arguments' text as it came.
    pub bytes: u64,
    /// How many top-level arguments there are; null when the arguments are no object.
    pub count: Option<u64>,
    /// In `commit` mode a commitment to each top-level argument; null in other modes and past 40 arguments.
    pub fields: Option<Vec<FieldCommitment<'a>>>,
    /// Salted digest of the text as it came.
    pub hash: Digest,
    /// How much is kept.
    pub mode: ParametersMode,
    /// How many secrets were replaced.
    pub redactions: u64,
    /// The text: JSON as it came but for the secrets; null in modes `commit` and `digest_only`.
    pub text: Option<Text<'a>>,
    /// Whether `text` was cut to fit, so that it is no longer JSON.
    pub truncated: bool,
}

/// One argument, bound without being shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldCommitment<'a> {
    /// Salted digest of pointer and redacted text of the value.
    pub c: Digest,
    /// JSON pointer into the arguments.
    pub ptr: Text<'a>,
}

/// What a [`ParametersBlock`] is made from.
pub(crate) struct ParametersSource<'a> {
    pub(crate) action: &'a ActionId,
    /// The text as it came.
    pub(crate) bytes: &'a [u8],
    pub(crate) domain: Domain,
    /// Names the salt.
    pub(crate) label: &'static str,
    pub(crate) mode: ParametersMode,
    pub(crate) text_max: usize,
}

impl<'a> ParametersBlock<'a> {
    /// The block, and in `commit` mode the text that goes to the vault. Secrets leave the text before it is cut.
    pub(crate) fn of(source: &ParametersSource<'a>, salts: &SaltKey) -> (Self, Option<String>) {
        let hash = source.domain.commit(salts.salt(source.action, source.label), source.bytes);
        let mut block = Self {
            bytes: source.bytes.len() as u64,
            count: None,
            fields: None,
            hash,
            mode: source.mode,
            redactions: 0,
            text: None,
            truncated: false,
        };
        if source.mode == ParametersMode::DigestOnly {
            return (block, None);
        }
        let redacted = redact::json_or_text(source.bytes);
        block.redactions = redacted.count;
        if source.mode == ParametersMode::Commit {
            let vault = block.commit_fields(redacted, source.action, salts);
            return (block, Some(vault));
        }
        if redacted.count > 0 {
            block.mode = ParametersMode::Redacted;
        }
        block.count = redacted.members;
        block.keep_text(redacted.text, source.text_max);
        (block, None)
    }

    fn keep_text(&mut self, text: Text<'a>, max: usize) {
        let Some(end) = fitting(&text, max) else {
            self.text = Some(text);
            return;
        };
        self.truncated = true;
        self.text = Some(match text {
            Text::Borrowed(text) => Text::Borrowed(text.get(..end).unwrap_or_default()),
            Text::Owned(mut text) => {
                text.truncate(end);
                Text::Owned(text)
            }
        });
    }

    fn commit_fields(&mut self, redacted: Redacted<'_>, action: &ActionId, salts: &SaltKey) -> String {
        let text = redacted.text.into_owned();
        if let Ok((text, document)) = crate::model::json::scan(text.as_bytes(), redact::LIMITS) {
            let root = document.root(text);
            self.count = (root.kind() == Kind::Object).then(|| root.children().count() as u64);
            let few = self.count.is_some_and(|count| count <= FIELDS_MAX as u64);
            let short = root.members().all(|(name, _)| fitting(&name, FIELD_NAME_MAX).is_none());
            self.fields = (few && short).then(|| {
                root.members()
                    .map(|(name, value)| {
                        let ptr = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                        let salt = salts.salt(action, &format!("field:{ptr}"));
                        FieldCommitment { c: commit_field(salt, &ptr, value.text()), ptr: ptr.into() }
                    })
                    .collect()
            });
        }
        text
    }
}
