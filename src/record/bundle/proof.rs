//! C2SP tlog-proof: one entry's place in the tree, as a text.
//!
//! ```text
//! c2sp.org/tlog-proof@v1\nindex <index>\n<base64 hash>\n ... \n\n<checkpoint>
//! ```

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::model::Digest;
use crate::record::Checkpoint;
use crate::record::merkle::PROOF_HASHES_MAX;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// Writes a proof. `path` is the audit path, sibling first.
#[must_use]
pub fn encode_proof(index: u64, path: &[Digest], checkpoint: &Checkpoint) -> String {
    let mut text = format!("{FIRST_LINE}\nindex {index}\n");
    for hash in path {
        BASE64_STANDARD.encode_string(hash.0, &mut text);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&checkpoint.note);
    text
}

/// Reads a proof: index, audit path, and the text of the checkpoint. `None` when it is none.
#[must_use]
pub fn decode_proof(text: &str) -> Option<(u64, Vec<Digest>, &str)> {
    let (proof, checkpoint) = text.split_once("\n\n")?;
    let mut lines = proof.lines().peekable();
    lines.next().filter(|line| *line == FIRST_LINE)?;
    lines.next_if(|line| line.starts_with("extra "));
    let index = lines.next()?.strip_prefix("index ")?.parse().ok()?;
    let hash = |line: &str| BASE64_STANDARD.decode(line).ok()?.try_into().ok().map(Digest);
    let path: Vec<Digest> = lines.map(hash).collect::<Option<_>>()?;
    (path.len() <= PROOF_HASHES_MAX).then_some((index, path, checkpoint))
}
