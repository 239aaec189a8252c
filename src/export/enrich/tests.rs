//! Lookups that answer, are late, fail, and are too many; inventories in all their shapes.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;
use crate::export::{Event, Formatter, events_of, samples};
use crate::model::{EventType, ManualClock, Timestamp};
use crate::net::scratch::Scratch;

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(Timestamp::from_secs(1_795_209_298)))
}

fn config(text: &str) -> Config {
    serde_saphyr::from_str(text).unwrap()
}

fn problem(text: &str) -> String {
    Enricher::new(&config(text), &clock()).err().expect(text).to_string()
}

/// The action event of the sample, of this person, completed.
fn completed(enricher: &Enricher, human: &str) -> Event {
    let mut predicate = samples::predicate("action-allowed");
    predicate["identity"]["human"]["value"] = json!(human);
    let entry = samples::entry(&predicate);
    enricher.gather([&*entry].into_iter());
    let mut event = events_of(&entry).into_iter().find(|event| event.event_type == EventType::Action).unwrap();
    event.added = enricher.added(&entry);
    event
}

fn rendered(event: &Event, schema: &str) -> Value {
    let formatter = Formatter::new(&serde_saphyr::from_str(schema).unwrap(), Path::new("/nonexistent")).unwrap();
    serde_json::from_str(&formatter.render(event, "o").unwrap()).unwrap()
}

const CSV: &str =
    "tool,asset_criticality,data_owner,site\ncrm,high,\"Weber, Ines\",\nwarehouse,critical,dba@acme.example,fra\n";

fn by_tool(folder: &Scratch, name: &str, content: &str, more: &str) -> Arc<Enricher> {
    let file = folder.write(name, content);
    let text = format!(
        "enrichment: [{{ field: action.tool, lookup: asset_inventory, add_fields: [asset_criticality, data_owner] }}]\n\
         lookups: {{ timeout_ms: 10000, asset_inventory: {{ file: '{}'{more} }} }}",
        file.display()
    );
    Enricher::new(&config(&text), &clock()).unwrap().unwrap()
}

#[test]
fn s0_17_an_inventory_completes_events_and_changes_no_id() {
    let (folder, mut versions) = (Scratch::new(), Vec::new());
    let plain = samples::entry(&samples::predicate("action-allowed"));
    let tool = plain.text("action.tool").into_owned();
    let csv = CSV.replace("crm", &tool);
    let object = json!({ &tool: { "asset_criticality": "high", "data_owner": "Weber, Ines", "size": 3 } }).to_string();
    let list = json!([{ "id": &tool, "asset_criticality": "high", "data_owner": "Weber, Ines" }]).to_string();
    for (name, content, more) in
        [("a.csv", &csv, ""), ("b.csv", &csv, ", key: tool"), ("c.json", &object, ""), ("d.json", &list, ", key: id")]
    {
        let enricher = by_tool(&folder, name, content, more);
        let event = completed(&enricher, "ann@acme.example");
        let written = rendered(&event, "aarm");
        assert_eq!(written["enrichment_status"], "complete", "{name}: {written}");
        let tool_known = &written["enrichment"]["action_tool"];
        assert_eq!(tool_known["asset_criticality"], "high", "{name}");
        assert_eq!(tool_known["data_owner"], "Weber, Ines", "{name}");
        assert_eq!(tool_known["lookup"]["status"], "found");
        assert!(tool_known.get("size").is_none() && tool_known.get("site").is_none(), "only what is asked for");
        versions.push(tool_known["lookup"]["version"].as_str().unwrap().to_owned());
        let ocsf = rendered(&event, "ocsf");
        assert_eq!(ocsf["enrichments"][0]["name"], "action.tool");
        assert_eq!(ocsf["enrichments"][0]["data"]["asset_criticality"], "high");
        assert_eq!(ocsf["unmapped"]["aarm"]["enrichment_status"], "complete");
        let mut bare = event.clone();
        bare.added = None;
        assert_eq!(bare.id, event.id);
        assert_eq!(rendered(&bare, "aarm")["enrichment"], Value::Null);
    }
    assert_eq!(versions[0], crate::model::Digest::of(csv.as_bytes()).to_string(), "the digest of the file");
    assert_eq!(versions[0], versions[1]);
    assert_ne!(versions[0], versions[2]);
}

#[test]
fn s0_17_what_an_inventory_lacks_and_one_that_is_gone_are_different_things() {
    let folder = Scratch::new();
    let enricher = by_tool(&folder, "a.csv", CSV.replace("crm", "other").as_str(), "");
    let written = rendered(&completed(&enricher, "ann@acme.example"), "aarm");
    assert_eq!(written["enrichment_status"], "complete");
    assert_eq!(written["enrichment"]["action_tool"]["lookup"]["status"], "not_found");
    for (name, content, more) in
        [("x.csv", "tool,a\n\"open", ""), ("x.json", "[1]", ""), ("y.csv", "a,b\n1,2\n", ", key: c")]
    {
        let written = rendered(&completed(&by_tool(&folder, name, content, more), "ann@acme.example"), "aarm");
        assert_eq!(written["enrichment_status"], "failed", "{name}");
        assert_eq!(written["enrichment"]["action_tool"]["lookup"]["status"], "unavailable", "{name}");
    }
}

/// A directory that answers when it is allowed to.
struct Held {
    asked: AtomicUsize,
    allowed: Semaphore,
    fails: bool,
}

impl Held {
    fn new(allowed: usize, fails: bool) -> Arc<Self> {
        Arc::new(Self { asked: AtomicUsize::new(0), allowed: Semaphore::new(allowed), fails })
    }
}

impl Source for Held {
    fn look_up<'a>(&'a self, value: &'a str) -> LookingUp<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.allowed.acquire().await.map_err(|error| error.to_string())?.forget();
            if self.fails {
                return Err("connection refused".into());
            }
            let fields = [("department".to_owned(), format!("that of {value}"))];
            Ok(Some(Answer::new(fields, "v1".into(), Timestamp::from_secs(7))))
        })
    }
}

fn status(event: &Event) -> (String, String) {
    let written = rendered(event, "aarm");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&written["enrichment_status"]), text(&written["enrichment"]["identity_human"]["lookup"]["status"]))
}

#[test]
fn s0_17_a_directory_that_is_late_is_waited_for_once_and_completes_later_events() {
    let source = Held::new(0, false);
    let lookups = LookupsConfig { timeout_ms: 20, ..LookupsConfig::default() };
    let enricher = Enricher::with(&lookups, "identity.human", Arc::clone(&source) as _);
    assert_eq!(status(&completed(&enricher, "ann")), ("failed".into(), "timeout".into()));
    // From now on nobody waits: a wait of an hour would be noticed.
    let enricher = Enricher { wait_max: Duration::from_secs(3_600), ..enricher };
    for human in ["ann", "bob", "eve"] {
        assert_eq!(status(&completed(&enricher, human)), ("failed".into(), "timeout".into()));
    }
    source.allowed.add_permits(3);
    let begun = Instant::now();
    while status(&completed(&enricher, "ann")).1 != "found" {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never answered");
        std::thread::yield_now();
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 3, "each value is asked for once");
    let written = rendered(&completed(&enricher, "ann"), "aarm");
    assert_eq!(written["enrichment"]["identity_human"]["department"], "that of ann");
    assert_eq!(written["enrichment"]["identity_human"]["lookup"]["as_of"], "1970-01-01T00:00:07.000Z");
}

#[test]
fn s0_17_who_comes_second_waits_for_the_answer_that_the_first_asked_for() {
    let source = Held::new(0, false);
    let lookups = LookupsConfig { timeout_ms: 30_000, ..LookupsConfig::default() };
    let enricher = Enricher::with(&lookups, "identity.human", Arc::clone(&source) as _);
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| status(&completed(&enricher, "ann")).1));
        while source.asked.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        source.allowed.add_permits(1);
        for one in both {
            assert_eq!(one.join().unwrap(), "found");
        }
    });
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
}

#[test]
fn s0_17_a_directory_that_fails_is_left_alone_for_a_while() {
    let source = Held::new(100, true);
    let lookups = LookupsConfig { timeout_ms: 10_000, ..LookupsConfig::default() };
    let enricher = Enricher::with(&lookups, "identity.human", Arc::clone(&source) as _);
    for human in ["ann", "bob", "eve"] {
        assert_eq!(status(&completed(&enricher, human)), ("failed".into(), "unavailable".into()));
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
    let mut text = String::new();
    enricher.render(&mut text);
    assert!(text.contains("countersign_enrichment_lookups_total{lookup=\"ldap\",result=\"failed\"} 1\n"), "{text}");
}

#[test]
fn s0_17_answers_are_kept_within_bounds_and_for_a_time() {
    let source = Held::new(1_000, false);
    let lookups = LookupsConfig { timeout_ms: 10_000, entries_max: 3, ..LookupsConfig::default() };
    let enricher = Enricher::with(&lookups, "identity.human", Arc::clone(&source) as _);
    for number in 0..10 {
        assert_eq!(status(&completed(&enricher, &format!("person {number}"))).1, "found");
        assert!(enricher.cache.len() <= 3);
    }
    completed(&enricher, "person 9");
    assert_eq!(source.asked.load(Ordering::SeqCst), 10);
    let long = "x".repeat(VALUE_BYTES_MAX + 1);
    assert_eq!(completed(&enricher, &long).added, None, "no name is that long");
    // What is old is still told when there is nothing newer, and said to be old.
    let source = Held::new(1, false);
    let lookups = LookupsConfig { timeout_ms: 20, ttl_s: 0, ..LookupsConfig::default() };
    let enricher = Enricher::with(&lookups, "identity.human", Arc::clone(&source) as _);
    let begun = Instant::now();
    while status(&completed(&enricher, "ann")) != ("complete".into(), "stale".into()) {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never answered");
    }
}

#[test]
fn s0_17_secrets_in_answers_do_not_leave() {
    let secret = format!("AKIA{}", "Z7Q2M4X8K1N5P3R6");
    let answer = Answer::new([("note".to_owned(), format!("key {secret}"))], "v".into(), Timestamp::from_secs(0));
    assert!(!answer.fields[0].1.contains(&secret), "{answer:?}");
    let long = Answer::new([("photo".to_owned(), "ä".repeat(9_000))], "v".into(), Timestamp::from_secs(0));
    assert!(long.fields[0].1.len() <= 512);
}

#[test]
fn s0_17_lines_that_cannot_be_carried_out_say_what_to_do() {
    for (text, part) in [
        ("enrichment: [{ field: identity.humn, lookup: asset_inventory }]", "`field: identity.humn` is no member"),
        ("enrichment: [{ field: action.tool, lookup: asset_inventory }]", "telemetry.lookups.asset_inventory"),
        (
            "enrichment: [{ field: action.tool, lookup: asset_inventory, add_fields: [lookup] }]",
            "`lookup` cannot be a field",
        ),
        (
            "{enrichment: [{ field: action.tool, lookup: asset_inventory }], lookups: { asset_inventory: { url: 'http://{value}/' } }}",
            "behind its host",
        ),
        (
            "{enrichment: [{ field: action.tool, lookup: asset_inventory }, { field: action.tool, lookup: asset_inventory }], lookups: { asset_inventory: { url: 'http://127.0.0.1:1/' } }}",
            "looked up there twice",
        ),
    ] {
        let found = problem(text);
        assert!(found.contains(part), "{found}");
    }
    #[cfg(not(feature = "ldap"))]
    assert!(problem("enrichment: [{ field: identity.human, lookup: ldap }]").contains("--features ldap"));
    #[cfg(feature = "ldap")]
    for (settings, part) in [
        ("base: x", "LDAPURI"),
        ("url: 'ldap://127.0.0.1:1'", "LDAPBASE"),
        ("url: 'http://x', base: x", "neither `ldaps://`"),
        ("url: 'ldap://x', base: x, filter: '(uid=*)'", "needs `{value}`"),
        ("url: 'ldap://dc.example', base: x, bind_dn: cn=a, password: { env: NOT_SET }", "would travel in clear"),
        ("url: 'ldaps://x', base: x, bind_dn: cn=a", "belong together"),
    ] {
        let text = format!(
            "{{enrichment: [{{ field: identity.human, lookup: ldap }}], lookups: {{ ldap: {{ {settings} }} }}}}"
        );
        let found = problem(&text);
        assert!(found.contains(part), "{found}");
    }
    assert!(serde_saphyr::from_str::<Config>("enrichment: [{ field: action.tool, lookup: whois }]").is_err());
}
