//! What the forwarders of AITF name and do (S1 rows): variables of the environment, and findings by one way while
//! everything goes by another.

use std::process::Output;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::bench::Bench;
use super::compliance::{CANARY, build};
use super::splunk_hec::Hec;
use super::stub::Stub;
use super::webhook::{self, Endpoint};
use crate::harness::{Folder, PATIENCE};

/// Sends a test event to the one destination of a configuration, in a process with these variables.
async fn export_test(folder: &Folder, exporter: &str, kind: &str, variables: &[(&str, &str)]) -> Output {
    let config = folder.0.join("countersign.yaml");
    let text = format!(
        "data_dir: data\nservers: {{ nothing: {{ url: 'http://127.0.0.1:1/mcp' }} }}\ntelemetry: {{ exporters: [ {exporter} ] }}\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.env_clear().args(["export", "test", kind, "--json", "-c"]).arg(&config).kill_on_drop(true);
    let output = command.envs(variables.iter().copied()).output();
    tokio::time::timeout(PATIENCE, output).await.expect("the test ends").unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_16_splunk_is_set_up_by_the_variables_of_aitf() {
    let (stub, folder) = (Stub::start(Hec::default()).await, Folder::new());
    let url = format!("http://{}/services/collector", stub.address);
    let variables =
        [("SPLUNK_HEC_URL", url.as_str()), ("SPLUNK_HEC_TOKEN", CANARY), ("SPLUNK_INDEX", "aitf_ai_telemetry")];
    // Streaming is the default; this is the batch mode of AITF: 100 events or 10 seconds.
    let batches = "{ type: splunk_hec, delivery: { batch_events: 100, linger_ms: 10000 } }";
    let output = export_test(&folder, batches, "splunk_hec", &variables).await;
    assert!(output.status.success(), "{}", told(&output));
    let request = stub.requests().into_iter().find(|request| request.method == http::Method::POST).unwrap();
    assert_eq!(request.headers["content-encoding"], "gzip");
    let event: serde_json::Value = serde_json::from_str(super::stub::text(&request).lines().next().unwrap()).unwrap();
    assert_eq!(event["index"], "aitf_ai_telemetry");
    let verified = [&variables[..], &[("SPLUNK_VERIFY_SSL", "true")]].concat();
    assert!(export_test(&folder, batches, "splunk_hec", &verified).await.status.success());
    // What would switch off the check of certificates is refused with its remedy.
    let unverified = [&variables[..], &[("SPLUNK_VERIFY_SSL", "false")]].concat();
    let output = export_test(&folder, batches, "splunk_hec", &unverified).await;
    assert!(!output.status.success() && told(&output).contains("http.tls.ca"), "{}", told(&output));
    let output = export_test(&folder, batches, "splunk_hec", &variables[1..]).await;
    assert!(told(&output).contains("SPLUNK_HEC_URL") && !told(&output).contains(CANARY), "{}", told(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_10_a_service_gateway_is_set_up_by_the_variables_of_aitf_and_gets_cef() {
    let (listener, folder) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Folder::new());
    let port = listener.local_addr().unwrap().port().to_string();
    let gateway = [
        ("TV1_COLLECTOR_HOST", "127.0.0.1"),
        ("TV1_COLLECTOR_PORT", port.as_str()),
        ("TV1_COLLECTOR_PROTOCOL", "tcp"),
        ("TV1_COLLECTOR_TLS", "false"),
    ];
    let cef = "{ type: trend_vision_one, schema: { name: cef, dialect: aitf } }";
    let reading = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    let reading = tokio::spawn(tokio::time::timeout(PATIENCE, reading));
    let output = export_test(&folder, cef, "trend_vision_one", &gateway).await;
    assert!(output.status.success(), "{}", told(&output));
    let text = reading.await.unwrap().expect("the gateway gets something");
    let (length, message) = text.split_once(' ').unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), message.len(), "the length before each message");
    assert!(message.starts_with("<1") && message.contains(": CEF:0|Countersign|"), "{message}");
    for (wrong, problem) in [
        (vec![("TV1_COLLECTOR_HOST", "127.0.0.1"), ("TV1_COLLECTOR_PROTOCOL", "http")], "neither `tcp` nor `udp`"),
        (vec![("TV1_COLLECTOR_HOST", "127.0.0.1"), ("TV1_COLLECTOR_TLS", "maybe")], "neither `true` nor `false`"),
        (
            vec![("TV1_COLLECTOR_HOST", "h"), ("TV1_COLLECTOR_PROTOCOL", "udp"), ("TV1_COLLECTOR_TLS", "true")],
            "has no TLS",
        ),
        (vec![], "TV1_COLLECTOR_HOST"),
    ] {
        let output = export_test(&folder, cef, "trend_vision_one", &wrong).await;
        assert!(!output.status.success() && told(&output).contains(problem), "{}", told(&output));
    }
    let problem = build(&folder, "{ type: trend_vision_one, address: 'gateway:6514' }").err().unwrap();
    assert!(problem.contains("`schema: cef`"), "{problem}");
}

#[tokio::test]
async fn s1_12_what_a_gateway_gets_at_once_is_less_than_it_uploads_at_once() {
    let exporter = "{ type: trend_vision_one, address: '127.0.0.1:6514', schema: cef }";
    let limits = build(&Folder::new(), exporter).unwrap().limits();
    assert!(limits.bytes_max <= 1 << 20 && limits.linger.as_secs() <= 60, "{limits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_21_findings_go_one_way_and_everything_another() {
    let (bench, findings, all) = (Bench::new(), Stub::start(Endpoint).await, Stub::start(Endpoint).await);
    let text = format!(
        "servers: {{}}\ntelemetry: {{ checkpoint_interval_s: 0, exporters: [ {}, {} ] }}\n",
        webhook::exporter(&findings, ", name: findings, filters: { min_severity: HIGH }"),
        webhook::exporter(&all, ", name: all"),
    );
    let config = countersign::config::parse(&text, std::path::Path::new("countersign.yaml")).unwrap().telemetry;
    let exporter = bench.start(&config);
    bench.write(0, 40).await;
    let monitor = exporter.monitor();
    let settled = async {
        while monitor.needed_from() < bench.recorder.size() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("everything arrives");
    exporter.stop().await;
    let events = bench.events();
    let arrived = all.taken();
    assert!(events.iter().all(|event| arrived.contains(&event.id)));
    // One of eight is CRITICAL.
    let some = findings.taken();
    assert!(some.len() == 5 && some.iter().all(|id| arrived.contains(id)), "{some:?}");
}
