//! `VERIFY.txt`: how to verify a directory of evidence, as a text that is also a script.

use crate::record::PublicKey;

/// The text, with places for what differs.
const TEMPLATE: &str = include_str!("verify.sh.txt");

/// The text for one directory of evidence.
pub(super) fn verify_text(about: &str, root: &PublicKey, example: u64) -> String {
    // One line, of characters that end no comment.
    let about: String = about.chars().filter(|character| !character.is_control()).collect();
    let id = root.id();
    let text = TEMPLATE.replace("{root_hex}", &id.to_hex()).replace("{root}", &id.to_string());
    text.replace("{example}", &example.to_string()).replace("{about}", &about)
}
