//! What the redactor finds, and what it must leave alone.

use super::*;

/// Secrets of every kind that is promised, none of them real.
const CANARIES: [&str; 22] = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ0123456789",
    "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx",
    "sk-proj-abcdEFGH1234ijklMNOP5678",
    "sk-ant-api03-abc-DEF-123-ghi",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "rk_test_4eC39HqLyjWDarjtT1zdp7dc",
    "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7bq\nabc\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA",
    "glpat-abcdefghij0123456789",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "SG.ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf09kqeF8tAmbihYzrnopKc1s5cr",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "dGhpcyBpcyBub3QgYSBzZWNyZXQgYnV0IGxvb2tz9fQ2xk7",
    "Zx8Kq2Lm9Vb4Nc7Tp1Rs6Yw3Hd5Jf0Ga",
    "https://user:hunter2horse@internal.example/path",
    "https://8f2a77c1d5@github.example/repo.git",
];

/// The part of a canary that must be gone: for URLs only the part in front of the host is secret.
fn secret_part(canary: &str) -> &str {
    canary.strip_prefix("https://").and_then(|rest| rest.split('@').next()).unwrap_or(canary)
}

#[test]
fn finds_canaries_wherever_they_stand() {
    for canary in CANARIES {
        let secret = secret_part(canary);
        for running in
            [canary.to_owned(), format!("use {canary} now"), format!("x=({canary})"), format!("/a/b?k={canary}&c")]
        {
            let redacted = text(&running);
            assert!(!redacted.text.contains(secret), "{running}\n{}", redacted.text);
            assert!(redacted.count > 0);
        }
        let string = serde_json::to_string(canary).unwrap();
        for document in [
            format!(r#"{{"q": {string}, "n": 1.50}}"#),
            format!(r#"[[{string}]]"#),
            format!(r#"{{"note": {}}}"#, serde_json::to_string(&format!("first\nthen {canary}\tend")).unwrap()),
            format!(r#"{{"inner": {}}}"#, serde_json::to_string(&format!(r#"{{"a":{string}}}"#)).unwrap()),
        ] {
            let redacted = json_or_text(document.as_bytes());
            let shown = serde_json::to_string(secret).unwrap();
            assert!(!redacted.text.contains(shown.trim_matches('"')), "{document}\n{}", redacted.text);
            serde_json::from_str::<serde_json::Value>(&redacted.text).expect("still JSON");
        }
    }
}

#[test]
fn names_give_values_away() {
    for (document, expected) in [
        (r#"{"password": "hunter2", "user": "bob"}"#, r#"{"password": "[redacted:password]", "user": "bob"}"#),
        (r#"{"X-Api-Key":"k1","n":1e2}"#, r#"{"X-Api-Key":"[redacted:api_key]","n":1e2}"#),
        (r#"{"pin": 1234, "max_tokens": 100}"#, r#"{"pin": "[redacted:pin]", "max_tokens": 100}"#),
        (r#"{"tokens": 12, "token": ""}"#, r#"{"tokens": 12, "token": ""}"#),
        (
            r#"{"secrets":{"a":["x",true,null]},"b":"x"}"#,
            r#"{"secrets":{"a":["[redacted:secret]",true,null]},"b":"x"}"#,
        ),
        (r#"{"p\u0061ssword":"x"}"#, r#"{"p\u0061ssword":"[redacted:password]"}"#),
        (
            r#"[{"name":"DB_PASSWORD","value":"x"},{"name":"HOST","value":"y"}]"#,
            r#"[{"name":"DB_PASSWORD","value":"[redacted:password]"},{"name":"HOST","value":"y"}]"#,
        ),
        (r#"["psql","--password","x","-v"]"#, r#"["psql","--password","[redacted:password]","-v"]"#),
        (r#"{"AKIAIOSFODNN7EXAMPLE":1}"#, r#"{"[redacted:aws_access_key]":1}"#),
        (r#"{"h":"Bearer abc"}"#, r#"{"h":"Bearer [redacted:bearer]"}"#),
        (r#"{"body":"{\"password\":\"x\\\"y\"}"}"#, r#"{"body":"{\"password\":\"[redacted:password]\\\"y\"}"}"#),
    ] {
        assert_eq!(json_or_text(document.as_bytes()).text, expected);
    }
}

#[test]
fn assignments_in_running_text() {
    for (running, expected) in [
        ("PASSWORD=hunter2 make", "PASSWORD=[redacted:password] make"),
        ("api_key: 'a b', x: 1", "api_key: '[redacted:api_key]', x: 1"),
        ("curl -H 'Authorization: Basic dXNlcjpwYXNz' url", "curl -H 'Authorization: [redacted:authorization]' url"),
        ("Cookie: a=b; c=d\nHost: x", "Cookie: [redacted:cookie]\nHost: x"),
        ("login --token abc --user bob", "login --token [redacted:token] --user bob"),
        ("postgres://app:p@ss@db.example:5432/x", "postgres://[redacted:url_userinfo]@db.example:5432/x"),
        ("ssh://git@host.example/x", "ssh://git@host.example/x"),
        ("https://a.example/cb?access_token=abc&state=1", "https://a.example/cb?access_token=[redacted:token]&state=1"),
        ("Bearer abcdef123456 was sent", "Bearer [redacted:bearer] was sent"),
    ] {
        assert_eq!(text(running).text, expected);
    }
}

#[test]
fn leaves_what_an_investigator_needs() {
    for running in [
        "SELECT * FROM customers WHERE id = 42 AND email = 'a@b.example'",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "017f22e2-79b0-7fff-bfff-ffffffffffff",
        "act_017f22e2-79b0-7fff-bfff-ffffffffffff",
        "/usr/local/lib/python3.11/site-packages/pydantic/v1/_internal/main.py",
        "https://example.com/docs/2026/getting-started-with-agents?page=2",
        "com.example.payments.v2.CreatePaymentMethodConfigurationRequestHandler1",
        "getCustomerAccountByIdentifierAndRegion2FromDatabase",
        "arn:aws:s3:::aws-security-data-lake-us-east-1-abcdef123456",
        "The bearer of this letter has basic knowledge and a token of thanks.",
        "risk-based sk-learn-extensions-and-other-words",
        "2026-11-20T18:08:35.123456Z",
        "eyJ is how tokens begin",
    ] {
        assert_eq!(text(running), Redacted { text: running.into(), count: 0, members: None });
    }
    let document = r#"{ "a" : 12345678901234567890123, "b" : [1e2 , "é\u0041\n"] }"#;
    let redacted = json_or_text(document.as_bytes());
    assert_eq!((redacted.text, redacted.count, redacted.members), (document.into(), 0, Some(2)));
}

#[test]
fn takes_anything() {
    for bytes in [&b""[..], b"{", b"\xff\xfe", b"=", b"://", b"password", b"password=", b"\"\\"] {
        assert_eq!(json_or_text(bytes).count, 0, "{bytes:?}");
    }
    assert_eq!(text("-----BEGIN PRIVATE KEY-----").text, "[redacted:private_key]");
    assert_eq!(json_or_text(b"\xff password=x").text, "\u{fffd} password=[redacted:password]");
}

proptest::proptest! {
    #[test]
    fn a_canary_never_gets_through(before in "\\PC{0,60}", after in "\\PC{0,60}", which in 0_usize..20) {
        let canary = CANARIES[which];
        let running = format!("{before} {canary} {after}");
        proptest::prop_assert!(!text(&running).text.contains(canary));
        let string = serde_json::to_string(&running).unwrap();
        let document = format!(r#"{{"a": [{string}, 1.50]}}"#);
        let redacted = json_or_text(document.as_bytes());
        let value: serde_json::Value = serde_json::from_str(&redacted.text).expect("still JSON");
        proptest::prop_assert!(!value["a"][0].as_str().unwrap().contains(canary));
        let kept = redacted.text.ends_with(", 1.50]}");
        proptest::prop_assert!(kept);
    }

    #[test]
    fn what_holds_no_secret_stays(running in "[a-z ,.!?]{0,200}") {
        let redacted = text(&running);
        proptest::prop_assert_eq!(redacted.count == 0, redacted.text == running);
    }
}

#[test]
fn names_hide_everything_below_them_in_texts_too() {
    for document in [
        r#"{"json": "{\"password\":[{\"deep\":\"hunter 2\"},\"a]b hunter\"],\"n\":1}"}"#,
        r#"{"json": "{\"password\":{\"json\":\"{\\\"a\\\":\\\"hunter}\\\"}\",\"b\":\"hunter\"},\"n\":1}"}"#,
        r#"failed: {"secret": {"a": ["hunter", "x}y"], "b": "hunter"}, "n\":1}"#,
        r#"password=[hunter"#,
    ] {
        let redacted = json_or_text(document.as_bytes());
        assert!(!redacted.text.contains("hunter"), "{}", redacted.text);
        assert!(redacted.text.contains("n\\\":1") || !document.contains("n\\\":1"), "{}", redacted.text);
    }
}

#[test]
fn what_is_encoded_is_found_and_what_decodes_to_nothing_stays() {
    use base64::Engine as _;
    const TOKEN: &str = "ghp_cAnArY7e42F292c6912E7710c838347Ae178";
    let hexadecimal: String = TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = TOKEN.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let base64 = base64::prelude::BASE64_STANDARD.encode(format!("token={TOKEN}&x=1"));
    for secret in [&hexadecimal, &percent, &base64] {
        for running in [format!("use {secret} now"), format!("https://a.example/?q={secret}&x=100%25")] {
            let redacted = text(&running);
            assert!(!redacted.text.contains(secret.as_str()) && redacted.count > 0, "{running}: {}", redacted.text);
            let document = serde_json::json!({ "a": running }).to_string();
            let redacted = json_or_text(document.as_bytes());
            assert!(!redacted.text.contains(secret.as_str()), "{document}: {}", redacted.text);
        }
    }
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    for kept in [digest, "100% of it", "a%20b%2Fc", "%zz%4", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"] {
        assert!(!text(kept).text.contains("encoded"), "{kept}: {}", text(kept).text);
    }
    assert_eq!(text("50%25 off: a%20b").count, 0);
}
