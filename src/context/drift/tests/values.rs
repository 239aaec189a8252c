//! Where values came from.

use serde_json::json;

use super::fixture::Play;
use crate::context::drift::Trust;
use crate::model::{IntentSource, Origin};

const DIRECTORY: &str = "- mail: ann@x.test\n  name: Ann Lee\n- mail: bob@y.test\n  name: Bob Ray\n";

#[test]
fn a_2_9_every_origin() {
    let mut play = Play::asked("Write to carol@z.test and to Bob. Her notes are in /home/me/notes.txt");
    play.calls("list_contacts", &json!({}), DIRECTORY);
    play.calls(
        "read_file",
        &json!({"path": "/home/me/notes.txt"}),
        "My other address is dora@w.test, I read it daily.",
    );
    play.calls(
        "read_inbox",
        &json!({}),
        "- body: 'Hello. Reach me at eve@evil.test whenever you like, thanks.'\n  from: ann@x.test\n",
    );
    play.calls_with("lookup", &json!({}), "Our partner is at partner@p.test as always, he said.", Trust::Trusted);
    play.calls("send_note", &json!({"to": "own@o.test"}), "sent");
    for (value, origin) in [
        ("carol@z.test", Origin::Intent),
        ("bob@y.test", Origin::Resolved),
        ("ann@x.test", Origin::Structured),
        ("dora@w.test", Origin::NamedSource),
        ("eve@evil.test", Origin::Prose),
        ("partner@p.test", Origin::Trusted),
        ("own@o.test", Origin::OwnWrite),
        ("nobody@n.test", Origin::Synthesised),
    ] {
        assert_eq!(play.origin(value), origin, "{value}");
    }
}

#[test]
fn what_was_first_seen_in_running_text_stays_that() {
    let mut play = Play::asked("Summarise my mail");
    play.calls(
        "read_inbox",
        &json!({}),
        "- body: 'Hello. Reach me at eve@evil.test whenever you like, thanks.'\n  id: 4\n",
    );
    play.calls("list_contacts", &json!({}), "- mail: eve@evil.test\n  name: Eve\n");
    assert_eq!(play.origin("eve@evil.test"), Origin::Prose);
}

#[test]
fn a_result_that_repeats_its_call_vouches_for_nothing() {
    let mut play = Play::asked("Summarise my mail");
    play.calls("find_contact", &json!({"mail": "eve@evil.test"}), r#"{"mail": "eve@evil.test", "found": false}"#);
    // The call was allowed, so it is an own value; in a session that only heard of the result it would be prose.
    assert_eq!(play.origin("eve@evil.test"), Origin::OwnWrite);
}

#[test]
fn output_trust_is_the_operators() {
    for (trust, expected) in
        [(Trust::Trusted, Origin::Trusted), (Trust::Fields, Origin::Structured), (Trust::Untrusted, Origin::Prose)]
    {
        let mut play = Play::asked("Summarise my mail");
        play.calls_with("list_contacts", &json!({}), DIRECTORY, trust);
        assert_eq!(play.origin("ann@x.test"), expected, "{trust:?}");
    }
}

#[test]
fn only_the_same_channel_adds_to_the_intent() {
    let mut play = Play::unasked();
    play.says("Write to ann@x.test", IntentSource::Host);
    play.says("and to bob@y.test", IntentSource::Host);
    play.says("and to eve@evil.test", IntentSource::Inferred);
    assert_eq!(play.origin("ann@x.test"), Origin::Intent);
    assert_eq!(play.origin("bob@y.test"), Origin::Intent);
    assert_eq!(play.origin("eve@evil.test"), Origin::Synthesised);
    play.says("Write to carol@z.test", IntentSource::SignedToken);
    assert_eq!(play.origin("carol@z.test"), Origin::Intent);
    assert_eq!(play.origin("ann@x.test"), Origin::Synthesised);
}

#[test]
fn a_memory_read_back_gives_the_same_signals() {
    let mut play = Play::asked("Write to Bob");
    play.calls("list_contacts", &json!({}), DIRECTORY);
    let arguments = json!({"to": "bob@y.test", "body": "hi"});
    let before = play.signals("send_note", &arguments);
    let text = serde_json::to_string(&play.memory).unwrap();
    assert!(!text.contains("bob") && !text.contains("y.test"), "{text}");
    play.memory = serde_json::from_str(&text).unwrap();
    assert_eq!(play.signals("send_note", &arguments), before);
}

#[test]
fn links_are_opened_as_far_as_the_operator_lets_them() {
    use crate::context::drift::LinkFetch;
    let text = "News of the week: https://news.test/other has more.";
    let of = |mode: LinkFetch| {
        let mut play = Play::asked("Read https://news.test/front and sum it up");
        play.config.link_fetch = mode;
        play.calls("read_note", &json!({"id": 1}), text);
        let signals = play.signals("fetch", &json!({"url": "https://news.test/other"}));
        let named = play.signals("fetch", &json!({"url": "https://news.test/front"}));
        (signals.link_fetch, signals.link_same_host, signals.sink_prose_only, named.sink_prose_only)
    };
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(of(LinkFetch::Hosts), (yes, yes, no, no), "the user named the host");
    assert_eq!(of(LinkFetch::Named), (yes, no, yes, no), "and not the page");
    assert_eq!(of(LinkFetch::Ignored).0, no);
}
