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

/// A result of one of four forms, about one of a few people, so that values repeat.
fn varied(number: u64) -> String {
    let person = number.wrapping_mul(2_654_435_761) % 23;
    match number % 4 {
        0 => format!("Please pay person{person}@example.com at once. The account is DE{person:018}."),
        1 => format!(r#"[{{"id":{number},"mail":"person{person}@example.com","path":"notes/{person}.txt"}}]"#),
        2 => format!("See https://site{person}.example.com/page/{number} for more, says person{person}@example.com."),
        _ => "word ".repeat(usize::try_from(person).unwrap() * 40),
    }
}

#[test]
fn many_results_are_searched_as_few_are() {
    let mut play = Play::asked("Read my mail and answer person3@example.com");
    for number in 0..300 {
        play.calls("read_mail", &json!({ "n": number }), &varied(number));
        if number == 200 {
            play.compact(48 << 10);
        }
        if number % 9 > 0 {
            continue;
        }
        assert!(number < 20 || play.memory.is_covered());
        // What was read back has no codes: it looks at every result.
        let plain = Play::resumed(&play);
        for person in 0..25 {
            let arguments = json!({
                "to": format!("person{person}@example.com"), "account": format!("DE{person:018}"),
                "path": format!("notes/{person}.txt"), "link": format!("https://site{person}.example.com/page/{number}"),
                "body": format!("tell person{person}@example.com of notes/{number}.txt"), "n": number,
            });
            assert_eq!(
                play.signals("send_note", &arguments),
                plain.signals("send_note", &arguments),
                "{number} {person}"
            );
        }
    }
}
