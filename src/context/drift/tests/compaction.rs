//! What is let go, and what stays known of it.

use serde_json::json;

use super::fixture::Play;
use crate::model::Origin;

/// A mail of about 8 KiB with an address of its own.
fn mail(number: usize) -> String {
    let body = "We met in the office and talked about the garden, the fence and the price of the new gate. ".repeat(88);
    format!("- id: {number}\n  sender: person{number}@example.com\n  body: |\n    {body}\n")
}

#[test]
fn a_2_11_memory_is_bounded_and_what_was_let_go_is_not_trusted() {
    let mut play = Play::asked("Read my mail and answer it");
    for number in 0..50 {
        play.calls("read_mail", &json!({ "n": number }), &mail(number));
    }
    let full = play.memory.bytes();
    assert!(full > 256 << 10, "{full} bytes before");
    play.memory.compact(40 << 10);
    assert!(play.memory.bytes() <= 40 << 10, "{} bytes after", play.memory.bytes());
    // Fields are still known; what only stood in running text, or nowhere, counts as running text.
    assert_eq!(play.origin("person49@example.com"), Origin::Structured);
    assert_eq!(play.origin("eve@evil.example"), Origin::Prose);
    let before = serde_json::to_vec(&play.memory).unwrap();
    play.memory.compact(40 << 10);
    assert_eq!(serde_json::to_vec(&play.memory).unwrap(), before, "again changes nothing");
}
