//! The mail notifier over a real SMTP conversation on loopback (RFC 5321).

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{People, STEP_UP};
use crate::harness::PATIENCE;

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
