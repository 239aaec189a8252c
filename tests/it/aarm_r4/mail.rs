//! The mail notifier over a real SMTP conversation on loopback (RFC 5321).

use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{People, STEP_UP};
use crate::harness::{Folder, PATIENCE, Server, Stand, ordinary};

/// One message as the server took it.
#[derive(Clone, Debug, Default)]
struct Mail {
    from: String,
    to: Vec<String>,
    text: String,
}

/// A mail server of our own. The first message it has no room for, and says so.
async fn server() -> (std::net::SocketAddr, Arc<Mutex<Vec<Mail>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, taken) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Mail>>>::default());
    let mails = Arc::clone(&taken);
    tokio::spawn(async move {
        let mut refused = false;
        while let Ok((stream, _)) = listener.accept().await {
            if let Some(mail) = converse(stream, !std::mem::replace(&mut refused, true)).await {
                mails.lock().unwrap().push(mail);
            }
        }
    });
    (address, taken)
}

/// One conversation; the message, when it was taken.
async fn converse(stream: TcpStream, refuses: bool) -> Option<Mail> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail.example ESMTP\r\n").await.ok()?;
    let (mut mail, mut taken) = (Mail::default(), None);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return taken;
        }
        let (line, upper) = (line.trim_end().to_owned(), line.to_ascii_uppercase());
        let path = || line.split_once('<').unwrap().1.split_once('>').unwrap().0.to_owned();
        let answer = if upper.starts_with("EHLO") {
            "250-mail.example\r\n250 8BITMIME"
        } else if upper.starts_with("MAIL FROM:") {
            mail.from = path();
            "250 ok"
        } else if upper.starts_with("RCPT TO:") {
            mail.to.push(path());
            "250 ok"
        } else if upper.starts_with("DATA") && refuses {
            "452 insufficient system storage"
        } else if upper.starts_with("DATA") {
            stream.write_all(b"354 go ahead\r\n").await.ok()?;
            loop {
                let mut part = String::new();
                stream.read_line(&mut part).await.ok()?;
                if part == ".\r\n" {
                    break;
                }
                mail.text.push_str(&part);
            }
            taken = Some(std::mem::take(&mut mail));
            "250 taken"
        } else if upper.starts_with("QUIT") {
            stream.write_all(b"221 bye\r\n").await.ok()?;
            return taken;
        } else {
            "250 ok"
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

/// Undoes quoted-printable (RFC 2045 section 6.7), which may break lines anywhere.
fn plain(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    let mut parts = joined.split('=');
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let coded = part.split_at_checked(2);
        match coded.and_then(|(code, rest)| Some((u8::from_str_radix(code, 16).ok()?, rest))) {
            Some((byte, rest)) => out.push_str(&format!("{}{rest}", char::from(byte))),
            None => out.push_str(&format!("={part}")),
        }
    }
    out
}

#[tokio::test]
async fn a_4_24_mail_is_sent_over_smtp_and_again_after_a_refusal() {
    let (address, taken) = server().await;
    let approve = format!(
        "approve: {{ legacy_hold_ms: 50, notifiers: [{{ type: email, server: '{address}', security: none, \
         from: 'Countersign <countersign@example.com>', to: [duty@example.com, second@example.com] }}] }}"
    );
    let policy = STEP_UP.replace("reason: money leaves", r#"reason: "money leaves\r\nBcc: eve@evil.example""#);
    let people = People::start(&policy, &approve).await;
    people.stand.call("pay", json!({ "amount": 5, "card": "4111-1111" })).await;
    let id = people.first_waiting().await;
    let arrived = async {
        while taken.lock().unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, arrived).await.expect("the mail is sent again");
    let mails = taken.lock().unwrap().clone();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(
        (&*mail.from, &*mail.to),
        ("countersign@example.com", &["duty@example.com", "second@example.com"].map(String::from)[..])
    );
    let (head, body) = mail.text.split_once("\r\n\r\n").unwrap();
    let headers: Vec<&str> = head.lines().filter(|line| !line.starts_with(' ')).collect();
    let header = |name: &str| {
        headers.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {head}"))
    };
    assert!(header("From: ").contains("countersign@example.com"));
    assert!(header("To: ").contains("duty@example.com"));
    assert!(header("Subject: ").contains("[APPROVAL] HIGH risk: tester wants test.pay"), "{head}");
    assert!(headers.iter().all(|line| !line.to_ascii_lowercase().starts_with("bcc")), "{head}");
    let body = plain(body);
    assert!(body.contains(&id) && body.contains("money leaves"), "{body}");
    assert!(!body.contains("4111") && !body.lines().any(|line| line.starts_with("Bcc")), "{body}");
    people.stand.stop().await;
}

/// The admin API as a browser asks it.
async fn browse(
    stand: &Stand,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> (StatusCode, HeaderMap, Value) {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    for (name, value) in headers.iter().chain(body.is_some().then_some(&("content-type", "application/json"))) {
        request = request.header(*name, *value);
    }
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let (status, headers, body) = stand.send_to(stand.admin, request.body(Full::new(body.into())).unwrap()).await;
    (status, headers, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// What a script of the console sends along.
const OWN: [(&str, &str); 2] = [("countersign-console", "1"), ("origin", "http://localhost")];

/// The secret behind `#` in the mail that only this address got.
async fn secret_of(taken: &Mutex<Vec<Mail>>, to: &str, id: &str) -> String {
    let look = || {
        let mails = taken.lock().unwrap();
        let mine = mails.iter().find(|mail| mail.to == [to] && plain(&mail.text).contains(id))?;
        let text = plain(&mine.text);
        let (before, secret) = text.split_once("#once=").expect("a link of its own");
        assert!(before.ends_with(&format!("https://console.example.com/approvals/{id}")), "{before}");
        Some(secret.split_whitespace().next().unwrap().to_owned())
    };
    let arrived = async {
        loop {
            if let Some(secret) = look() {
                return secret;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, arrived).await.expect("the mail arrives")
}

/// The payment of this amount, as the id of its request.
async fn ask_for(stand: &Stand, amount: u32) -> String {
    let answer = stand.call("pay", json!({ "amount": amount })).await;
    answer["result"]["_meta"]["countersign/decision"]["approval_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .into()
}

#[tokio::test]
async fn a_4_24_the_link_in_a_mail_opens_one_request_once_and_decides_nothing() {
    let (address, taken) = server().await;
    let approve = format!(
        "approve: {{ legacy_hold_ms: 50, notifiers: [{{ type: email, server: '{address}', security: none, \
         from: countersign@example.com, to: [ann@example.com, duty@example.com], \
         people: {{ ann@example.com: {{ name: ann@example.com }} }} }}] }}"
    );
    // Behind the tokens of the flow mapping.
    let admin = "], public_url: 'https://console.example.com', hosts: [console.example.com";
    let server = Server::start(ordinary).await;
    let stand = Stand::with_people(STEP_UP, "", admin, &approve, server, Folder::new()).await;
    let (id, other) = (ask_for(&stand, 5).await, ask_for(&stand, 6).await);
    let secret = secret_of(&taken, "ann@example.com", &id).await;
    let common = taken.lock().unwrap().iter().find(|mail| mail.to == ["duty@example.com"]).cloned().unwrap();
    assert!(!plain(&common.text).contains("once="), "{}", common.text);

    // Whoever follows the link without a script of ours: a mail scanner, a preview, another site's form.
    let page = format!("/approvals/{id}");
    let follows = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert_eq!(browse(&stand, "GET", &page, &follows, None).await.0, StatusCode::OK);
    let by_get = browse(&stand, "GET", &format!("/login/link?secret={secret}"), &OWN, None).await.0;
    assert_eq!(by_get, StatusCode::METHOD_NOT_ALLOWED);
    let link = || Some(json!({ "secret": secret }));
    assert_eq!(browse(&stand, "POST", "/login/link", &[], link()).await.0, StatusCode::FORBIDDEN);
    let made_up = Some(json!({ "secret": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }));
    assert_eq!(browse(&stand, "POST", "/login/link", &OWN, made_up).await.0, StatusCode::UNAUTHORIZED);
    // The script, once.
    let (status, headers, _) = browse(&stand, "POST", "/login/link", &OWN, link()).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(browse(&stand, "POST", "/login/link", &OWN, link()).await.0, StatusCode::UNAUTHORIZED, "once");
    let cookie = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let mine = [OWN[0], OWN[1], ("cookie", cookie.as_str())];

    let api = format!("/v1/approvals/{id}");
    let (status, _, shown) = browse(&stand, "GET", &api, &mine, None).await;
    assert_eq!((status, &shown["status"]), (StatusCode::OK, &json!("pending")), "opened, and not decided");
    assert_eq!(browse(&stand, "GET", "/v1/me", &mine, None).await.2["only"], json!(id));
    for (method, path) in [
        ("GET", "/v1/approvals".to_owned()),
        ("GET", format!("/v1/approvals/{other}")),
        ("GET", format!("{api}x")),
        ("GET", "/v1/receipts".to_owned()),
        ("GET", "/v1/sessions".to_owned()),
        ("POST", format!("/v1/approvals/{other}/approve")),
        ("POST", "/v1/approvals/decide".to_owned()),
        ("POST", "/v1/controls".to_owned()),
    ] {
        let body = (method == "POST").then(|| json!({}));
        assert_eq!(browse(&stand, method, &path, &mine, body).await.0, StatusCode::FORBIDDEN, "{method} {path}");
    }
    let approve = format!("{api}/approve");
    let (status, ..) = browse(&stand, "POST", &approve, &mine[2..], Some(json!({}))).await;
    assert_eq!((status, stand.server.calls().len()), (StatusCode::FORBIDDEN, 0), "a cookie alone changes nothing");
    assert_eq!(browse(&stand, "POST", &approve, &mine, Some(json!({}))).await.0, StatusCode::OK);
    stand.call("pay", json!({ "amount": 5 })).await;
    assert_eq!(stand.server.calls().len(), 1);
    let (entries, _folder) = stand.stop().await;
    let of_ann = |entry: &&Value| entry["predicate"]["approval"]["approver"] == "ann@example.com";
    let answer = &entries.iter().find(of_ann).expect("an answer")["predicate"]["approval"];
    assert_eq!((&answer["channel"], &answer["status"]), (&json!("mail"), &json!("APPROVED")));
    assert_eq!(answer["approver_verification"], "trusted_proxy");
}
