//! Who we are to AWS: keys of a role for a token, of a container, of a machine, and when they are asked for again.

use std::sync::Mutex;

use countersign::model::{Clock as _, Timestamp};
use countersign::net::{Body, SystemClock};
use http::{Method, Response, StatusCode};

use super::aws_streams::{Kind, exporter};
use super::compliance::{CANARY, batch, build};
use super::sigv4::is_signed;
use super::stub::{Fault, Protocol, Stub};
use crate::harness::{Folder, Received, respond};

/// A stream beside every service that gives keys. Each time it gives others, and the stream takes the newest alone.
struct Place {
    /// Seconds that keys last.
    life_s: u64,
    given: Mutex<u64>,
}

impl Place {
    fn new(life_s: u64) -> Self {
        Self { life_s, given: Mutex::default() }
    }

    fn give(&self, as_xml: bool) -> (Response<Body>, Vec<String>) {
        let mut given = self.given.lock().unwrap();
        *given += 1;
        let expiration = SystemClock::new().now().plus_micros(self.life_s * 1_000_000).to_rfc3339_millis();
        let body = if as_xml {
            format!(
                "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA{given}\
                 </AccessKeyId><SecretAccessKey>{CANARY}-{given}</SecretAccessKey><SessionToken>t{given}</SessionToken>\
                 <Expiration>{expiration}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
                 </AssumeRoleWithWebIdentityResponse>"
            )
        } else {
            format!(
                r#"{{"Code":"Success","AccessKeyId":"ASIA{given}","SecretAccessKey":"{CANARY}-{given}","Token":"t{given}","Expiration":"{expiration}"}}"#
            )
        };
        (respond(StatusCode::OK, &body), Vec::new())
    }
}

impl Protocol for Place {
    /// The script is for the services that give keys.
    fn is_delivery(&self, request: &Received) -> bool {
        request.headers["x-path"] != "/"
    }

    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        let ok = |text: &str| (respond(StatusCode::OK, text), Vec::new());
        match request.headers["x-path"].to_str().unwrap() {
            "/sts" => {
                let form = String::from_utf8(request.body.to_vec()).unwrap();
                assert!(
                    form.starts_with("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws"),
                    "{form}"
                );
                assert!(form.contains("&WebIdentityToken=token-") && form.contains("&RoleSessionName=countersign"));
                self.give(true)
            }
            "/container" => self.give(false),
            "/latest/api/token" => {
                assert!(request.method == Method::PUT);
                assert!(request.headers.contains_key("x-aws-ec2-metadata-token-ttl-seconds"));
                ok("session-of-imds")
            }
            "/latest/meta-data/iam/security-credentials/" => {
                assert_eq!(request.headers["x-aws-ec2-metadata-token"], "session-of-imds");
                ok("the-role\n")
            }
            "/latest/meta-data/iam/security-credentials/the-role" => self.give(false),
            "/" => {
                let given = self.given.lock().unwrap();
                assert_eq!(request.headers["x-amz-security-token"], format!("t{given}"));
                assert!(is_signed(request, &format!("ASIA{given}"), &format!("{CANARY}-{given}"), "kinesis"));
                ok(r#"{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1"}]}"#)
            }
            other => panic!("nobody asks for {other}"),
        }
    }
}

fn web_identity(folder: &Folder, stub: &Stub) -> String {
    let file = folder.0.join("identity");
    std::fs::write(&file, "token-1\n").unwrap();
    format!(
        "web_identity: {{ role_arn: 'arn:aws:iam::123456789012:role/export', token_file: '{}', sts_url: 'http://{}/sts' }}",
        file.display(),
        stub.address
    )
}

#[tokio::test]
async fn keys_of_a_role_are_kept_until_shortly_before_they_end() {
    for (life_s, asked) in [(3_600, 1), (240, 2)] {
        for way in ["web identity", "container", "machine"] {
            let (stub, folder) = (Stub::start(Place::new(life_s)).await, Folder::new());
            let credentials = match way {
                "web identity" => web_identity(&folder, &stub),
                "container" => format!("container_url: 'http://{}/container'", stub.address),
                _ => format!("instance_role: true, metadata_url: 'http://{}'", stub.address),
            };
            let destination = build(&folder, &exporter(Kind::Kinesis, &stub, &credentials)).unwrap();
            for number in 0..2 {
                destination.send(&batch(number..number + 1)).await.unwrap();
            }
            let asks = |request: &&Received| request.headers["x-path"] != "/";
            let each = if way == "machine" { 3 } else { 1 };
            assert_eq!(stub.requests().iter().filter(asks).count(), each * asked, "{way}, {life_s} s");
        }
    }
}

#[tokio::test]
async fn keys_that_still_hold_are_used_while_nobody_gives_others() {
    let (stub, folder) = (Stub::start(Place::new(240)).await, Folder::new());
    let credentials = web_identity(&folder, &stub);
    let destination = build(&folder, &exporter(Kind::Kinesis, &stub, &credentials)).unwrap();
    destination.send(&batch(0..1)).await.unwrap();
    stub.fail(Fault::Answer(503, &[], "<Code>ServiceUnavailable</Code>"));
    destination.send(&batch(1..2)).await.unwrap();
    assert_eq!(stub.requests().iter().filter(|request| request.headers["x-path"] == "/").count(), 2);
}

#[tokio::test]
async fn what_a_token_service_refuses_repeats_no_token() {
    let (stub, folder) = (Stub::start(Place::new(240)).await, Folder::new());
    let credentials = web_identity(&folder, &stub);
    let destination = build(&folder, &exporter(Kind::Kinesis, &stub, &credentials)).unwrap();
    stub.fail(Fault::Answer(403, &[], "<Code>AccessDenied</Code><Message>token-1 is not welcome</Message>"));
    let refused = destination.send(&batch(0..1)).await.unwrap_err().to_string();
    assert_eq!(refused, "no keys from STS: HTTP 403 AccessDenied");
}

#[tokio::test]
async fn keys_come_from_a_profile_and_s3_asks_the_same_chain() {
    let (stub, folder) = (Stub::start(Place::new(3_600)).await, Folder::new());
    let file = folder.0.join("credentials");
    let settings = format!("profile: audit, profile_file: '{}'", file.display());
    for kind in ["aws_kinesis, stream: s", "aws_firehose, stream: s", "s3, bucket: b"] {
        let exporter =
            |more: &str| format!("{{ type: {kind}, endpoint: 'http://{}', credentials: {{ {more} }} }}", stub.address);
        std::fs::write(&file, "[audit]\naws_access_key_id = A\naws_secret_access_key = B\n").unwrap();
        build(&folder, &exporter(&settings)).unwrap();
        std::fs::write(&file, "[other]\n").unwrap();
        let problem = build(&folder, &exporter(&settings)).err().unwrap();
        assert!(problem.contains("no profile `audit`"), "{problem}");
        let problem = build(&folder, &exporter("container_url: 'http://keys.example.com/x'")).err().unwrap();
        assert!(problem.contains("only over https"), "{problem}");
    }
    assert!(Timestamp::parse("2026-11-20T10:00:00Z").is_some(), "how services write when keys end");
}
