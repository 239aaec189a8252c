//! What is computed about one action in its session before it is decided (AARM ).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::PartsPerMillion;

/// The signals of one action. `None` is unknown, never zero and never false.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// What kind of effect the operation has, by its name and, for trusted servers, its annotations.
    pub effect: Option<Effect>,
    /// Nothing in the intent asks for an effect of this kind. Unknown without an intent.
    pub scope_expansion: Option<bool>,
    /// Out of scope, and the effect hands out access, changes credentials or runs code (AARM ).
    pub privilege_escalation: Option<bool>,
    /// The operation handles credentials and the intent names none.
    pub credential_use: Option<bool>,
    /// The least trusted origin of any sink: an argument that says where the effect goes.
    pub sink_origin: Option<Origin>,
    /// A sink was only ever seen inside running text that nobody vouches for.
    pub sink_prose_only: Option<bool>,
    /// A sink that nobody ever mentioned.
    pub sink_synthesised: Option<bool>,
    /// A sentence in a result tells the reader to do this very thing with these very values.
    pub commanded_by_content: Option<bool>,
    /// A result orders an effect of this kind, with whatever values.
    pub effect_ordered_by_content: Option<bool>,
    /// A value of this action stands beside wording that is addressed to a machine: the attack lexicon. It may make a
    /// refusal out of a question, and nothing else.
    pub instruction_like: Option<bool>,
    /// Results of this session hold such wording anywhere.
    pub session_instruction_like: Option<bool>,
    /// A result claims to say what the task now is (AARM, goal restatement).
    pub goal_restatement: Option<bool>,
    /// A read whose arguments carry a link: content leaves the session in it.
    pub link_fetch: Option<bool>,
    /// The host of every such link is one that the user named, or one that was reached with consent.
    pub link_same_host: Option<bool>,
    /// The destination is outside the configured internal domains. Unknown where there is no destination.
    pub external_destination: Option<bool>,
    /// The intent hands the choice of actions to a text: "do what the file says".
    pub delegated_intent: Option<bool>,
    /// Distance between intent and action (AARM ).
    pub semantic_distance: Option<PartsPerMillion>,
    /// What measured it: distances of different sources cannot be compared.
    pub distance_source: Option<DistanceSource>,
    /// The model and its version.
    pub distance_model: Option<Arc<str>>,
    /// Drift over the session (AARM ).
    pub cumulative_drift: Option<PartsPerMillion>,
    /// The distance of this action or the drift of the session is past the profile's threshold (AARM ).
    pub drift_detected: Option<bool>,
    /// Actions of the session, this one counted.
    pub chain_length: Option<u64>,
    /// The session is longer than its limit.
    pub chain_length_exceeded: Option<bool>,
    /// Actions in the last 60 seconds, this one counted.
    pub velocity: Option<u64>,
    /// More of them than the profile allows.
    pub velocity_anomaly: Option<bool>,
    /// A kind of effect that neither the intent nor the session so far had, right after content that gives orders.
    pub unusual_sequence: Option<bool>,
    /// Data of a higher level than the session began with was read.
    pub classification_escalation: Option<bool>,
    /// The server says of the tool that it may take something away. Unknown where no list of tools says anything of it.
    pub declared_destructive: Option<bool>,
    /// The server says of the tool that it reaches whoever is outside.
    pub declared_open_world: Option<bool>,
    /// Where the values of the arguments came from, one entry for each value that was looked up.
    pub provenance: Arc<[Provenance]>,
}

/// Where one value of the arguments first appeared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The argument, as a JSON pointer: `/recipients/0`.
    pub pointer: Arc<str>,
    /// Where the value came from.
    pub origin: Origin,
    /// Whether the argument says where the effect goes.
    pub sink: bool,
    /// The result it was found in, if any.
    pub witness: Option<Witness>,
}

/// The result that a value was found in: "result 3, of `read_email`".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Number of the result in its session, from 1.
    pub result: u64,
    /// The action that it answered; empty where that is not known any more.
    pub action: Arc<str>,
    /// The operation that returned it.
    pub operation: Arc<str>,
}

/// Where a value came from, most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The user's own words.
    Intent,
    /// A tool whose output the operator trusts.
    Trusted,
    /// A field of a record whose other fields the user named: Bob's address in Bob's entry of the directory.
    Resolved,
    /// An argument of an earlier action that was forwarded, and so judged then.
    OwnWrite,
    /// A field of its own in a result.
    Structured,
    /// Running text of a source that the user named, where it stands as information and not as an order.
    NamedSource,
    /// Nowhere: computed, guessed or decoded by the agent.
    Synthesised,
    /// Running text.
    Prose,
}

impl Origin {
    /// The words that policies and entries use.
    pub const WORDS: &'static [&'static str] =
        &["intent", "trusted", "resolved", "own_write", "structured", "named_source", "synthesised", "prose"];

    /// The word that policies and entries use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Trusted => "trusted",
            Self::Resolved => "resolved",
            Self::OwnWrite => "own_write",
            Self::Structured => "structured",
            Self::NamedSource => "named_source",
            Self::Synthesised => "synthesised",
            Self::Prose => "prose",
        }
    }
}

/// Kinds of effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Hands out or takes away access: invite, share, grant, transfer ownership.
    Access,
    /// Speaks for the user: send, post, reply.
    Communicate,
    /// Answers a question that an earlier action of the same session raised: verify, confirm.
    Confirm,
    /// Makes something new.
    Create,
    /// Changes or hands over credentials.
    Credential,
    /// Takes something away.
    Delete,
    /// Runs code or commands.
    Execute,
    /// An effect, of a kind that the name does not tell.
    Other,
    /// Moves money or buys.
    Pay,
    /// None: looks something up.
    Read,
    /// Changes something that is there.
    Update,
}

impl Effect {
    /// The words that policies and entries use.
    pub const WORDS: &'static [&'static str] = &[
        "access",
        "communicate",
        "confirm",
        "create",
        "credential",
        "delete",
        "execute",
        "other",
        "pay",
        "read",
        "update",
    ];

    /// The word that policies and entries use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Communicate => "communicate",
            Self::Confirm => "confirm",
            Self::Create => "create",
            Self::Credential => "credential",
            Self::Delete => "delete",
            Self::Execute => "execute",
            Self::Other => "other",
            Self::Pay => "pay",
            Self::Read => "read",
            Self::Update => "update",
        }
    }
}

/// What measured a distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DistanceSource {
    /// Hashed character n-grams and words: no model, always there.
    Ngram,
    /// A static table of word vectors, pinned by its digest.
    StaticTable,
}

impl DistanceSource {
    /// The words that policies and entries use.
    pub const WORDS: &'static [&'static str] = &["ngram", "static_table"];

    /// The word that policies and entries use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ngram => "ngram",
            Self::StaticTable => "static_table",
        }
    }
}
