//! Writes payloads.
//!
//! The blocks of an action are serialised once, when it is decided, and their bytes are copied into the entry of the
//! outcome: an outcome repeats exactly what was decided, and costs one copy. Other entries go through serde.

use std::ops::Range;

use serde::Serialize;

use super::{LogBlock, PREDICATE_TYPE, STATEMENT_TYPE, SessionBlock, Statement, TimeBlock};

/// The longest payload, bytes: with base64, two signatures and their frame it stays under the 65,535 bytes of an entry
/// of C2SP tlog-tiles.
pub const PAYLOAD_BYTES_MAX: usize = 48_000;

/// The members that the blocks of an action stand in, in the order of RFC 8785.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// `action`
    Action,
    /// `approval`
    Approval,
    /// `context`
    Context,
    /// `decision`
    Decision,
    /// `deferral`
    Deferral,
    /// `drift`: in entries of that kind alone
    Drift,
    /// `facts`: in entries of the kinds `context` and `outcome`, where there are any
    Facts,
    /// `identity`
    Identity,
    /// `outcome`
    Outcome,
}

/// The blocks of an action, serialised. Members that were not added are null.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    bytes: Vec<u8>,
    ranges: Vec<(Member, Range<usize>)>,
}

impl Blocks {
    /// None yet, with room for an action with ordinary arguments.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: Vec::with_capacity(6_144), ranges: Vec::with_capacity(7) }
    }

    /// Serialises a block.
    ///
    /// # Errors
    /// Never for the blocks of this module: their members are texts, integers and lists.
    pub fn add<T: Serialize>(&mut self, member: Member, block: &T) -> Result<(), serde_json::Error> {
        let start = self.bytes.len();
        serde_json::to_writer(&mut self.bytes, block)?;
        self.ranges.push((member, start..self.bytes.len()));
        Ok(())
    }

    /// The length of everything that was added, bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Leaves a block out of the next entry.
    pub fn remove(&mut self, member: Member) {
        self.ranges.retain(|(other, _)| *other != member);
    }

    fn has(&self, member: Member) -> bool {
        self.ranges.iter().any(|(other, _)| *other == member)
    }

    fn get(&self, member: Member) -> &[u8] {
        let range = self.ranges.iter().find(|(other, _)| *other == member).map(|(_, range)| range.clone());
        range.and_then(|range| self.bytes.get(range)).unwrap_or(b"null")
    }
}

/// What an entry of an action says besides its blocks.
#[derive(Clone, Debug)]
pub struct EntryHeader<'a> {
    /// The kind's word.
    pub kind: &'static str,
    /// The log.
    pub log: &'a LogBlock<'a>,
    /// The entry's id.
    pub receipt_id: &'a str,
    /// Its place in the session.
    pub session: &'a SessionBlock<'a>,
    /// The action's id.
    pub subject: &'a str,
    /// The subject's digest: 64 hexadecimal digits.
    pub subject_hex: [u8; 64],
    /// When it is made.
    pub time: &'a TimeBlock<'a>,
}

/// The payload of an entry of an action: the same bytes that serialising the [`Statement`] would give.
///
/// # Errors
/// As [`Blocks::add`].
pub fn write_blocks(header: &EntryHeader<'_>, blocks: &Blocks) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(blocks.bytes.len() + 1_024);
    out.extend_from_slice(b"{\"_type\":\"");
    out.extend_from_slice(STATEMENT_TYPE.as_bytes());
    out.extend_from_slice(b"\",\"predicate\":{\"action\":");
    out.extend_from_slice(blocks.get(Member::Action));
    for (name, member) in [
        (&b",\"approval\":"[..], Member::Approval),
        (b",\"context\":", Member::Context),
        (b",\"decision\":", Member::Decision),
        (b",\"deferral\":", Member::Deferral),
        (b",\"drift\":", Member::Drift),
        (b",\"facts\":", Member::Facts),
        (b",\"identity\":", Member::Identity),
    ] {
        let of_few_kinds = matches!(member, Member::Drift | Member::Facts);
        if !of_few_kinds || blocks.has(member) {
            out.extend_from_slice(name);
            out.extend_from_slice(blocks.get(member));
        }
    }
    out.extend_from_slice(b",\"kind\":");
    serde_json::to_writer(&mut out, header.kind)?;
    out.extend_from_slice(b",\"log\":");
    serde_json::to_writer(&mut out, header.log)?;
    out.extend_from_slice(b",\"outcome\":");
    out.extend_from_slice(blocks.get(Member::Outcome));
    out.extend_from_slice(b",\"receipt_id\":");
    serde_json::to_writer(&mut out, header.receipt_id)?;
    out.extend_from_slice(b",\"session\":");
    serde_json::to_writer(&mut out, header.session)?;
    out.extend_from_slice(b",\"time\":");
    serde_json::to_writer(&mut out, header.time)?;
    out.extend_from_slice(b",\"v\":1},\"predicateType\":\"");
    out.extend_from_slice(PREDICATE_TYPE.as_bytes());
    out.extend_from_slice(b"\",\"subject\":[{\"digest\":{\"sha256\":\"");
    out.extend_from_slice(&header.subject_hex);
    out.extend_from_slice(b"\"},\"name\":");
    serde_json::to_writer(&mut out, header.subject)?;
    out.extend_from_slice(b"}]}");
    Ok(out)
}

/// The payload of any other entry.
///
/// # Errors
/// As [`Blocks::add`].
pub fn write_statement(statement: &Statement<'_>) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(statement)
}
