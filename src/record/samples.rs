//! Made-up calls, people and decisions for the tests of this stage.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::model::*;

pub(crate) fn action_id(number: u64) -> ActionId {
    ActionId::parse(&format!("act_{number}")).unwrap()
}

fn wrapper() -> Arc<Wrapper> {
    Arc::new(Wrapper { name: "mcp_tool".into(), arguments: Arc::default(), inner: "".into() })
}

/// A call with these arguments, of which every optional part is there.
pub(crate) fn call(number: u64, arguments: &str) -> Call {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"query","arguments":{arguments}}}}}"#
    );
    Call {
        action: Action {
            id: action_id(number),
            tool: "database".into(),
            operation: "query".into(),
            native: NativeName { server: "db".into(), operation: "run_query".into(), wrapper: Some(wrapper()) },
            method: "tools/call".into(),
            arguments: Arguments {
                text: Bytes::copy_from_slice(arguments.as_bytes()),
                offset: Some(60),
                value: Arc::new(serde_json::from_str(arguments).unwrap_or_default()),
            },
            destination: Some(Destination::External("mail.example".into())),
            received: Timestamp::from_micros(1_795_209_298_000_000),
            jsonrpc_id: Some("7".into()),
            trace: Some(("4bf92f3577b34da6a3ce929d0e0e4736".into(), "00f067aa0ba902b7".into())),
        },
        kind: FrameKind::Action,
        client: Client {
            peer: Peer::Address("10.0.1.50:41234".parse().unwrap()),
            transport: Transport::McpHttp,
            era: Era::Legacy,
            protocol_version: Some("2025-11-25".into()),
            name: Some("agent-sdk".into()),
            version: Some("1.2.3".into()),
            protocol_session: Some("5b1d7c52-session".into()),
            meta: None,
            url_elicitation: false,
            accepts_stream: true,
            progress_token: None,
            held: crate::model::Held::default(),
        },
        credentials: Credentials::default(),
        outbound: Outbound {
            server: "db".into(),
            method: Method::POST,
            path: "".into(),
            headers: HeaderMap::new(),
            body: body.into(),
        },
        inputs: Vec::new(),
    }
}

fn claim(value: &str, verification: Verification) -> Option<Claim> {
    Some(Claim { value: value.into(), verification })
}

pub(crate) fn identity() -> Identity {
    Identity {
        flagged: false,
        mode: None,
        human: claim("alice@company.example", Verification::Jwt),
        service: claim("agent-svc", Verification::Mtls),
        agent: Some(AgentIdentity {
            id: Claim { value: "sales-assistant".into(), verification: Verification::Inventory },
            instance: Some("pod-7".into()),
            version: Some("2".into()),
            listed: Some(true),
        }),
        session: claim("token-session", Verification::Jwt),
        scope: vec!["crm:read".into(), "mail:send".into()],
        role: claim("sales", Verification::Jwt),
        delegation: vec![Delegation {
            delegatee: "sales-assistant".into(),
            delegator: "alice@company.example".into(),
            expires_at: Some(Timestamp::from_secs(1_795_300_000)),
            issued_at: Some(Timestamp::from_secs(1_795_200_000)),
            scope: "crm:read".into(),
        }],
        verification: Verification::Jwt,
        problem: None,
        credential: Some(Digest::of(b"token")),
        issuer: Some("https://issuer.example".into()),
        expires: Some(Timestamp::from_secs(1_795_300_000)),
        verified_at: Some(Timestamp::from_secs(1_795_209_000)),
        owner: Some("maya.chen@acme.example".into()),
        team: Some("support".into()),
        tenant: Some("acme".into()),
        servers: None,
    }
}

pub(crate) fn context(session: &str) -> SessionContext {
    let prior = PriorAction {
        id: action_id(0),
        tool: "crm".into(),
        operation: "query".into(),
        verdict: Verdict::Allow,
        forwarded: true,
        confirmed: false,
        at: Timestamp::from_secs(1_795_209_200),
        level: Some(DataLevel::Confidential),
        success: Some(true),
    };
    SessionContext {
        session: SessionId::parse(session).unwrap(),
        correlation: Correlation::ProtocolSession,
        key: None,
        intact: true,
        drift: None,
        started: Timestamp::from_secs(1_795_209_100),
        now: Timestamp::from_secs(1_795_209_298),
        intent: Some(Intent {
            text: "Prepare for the Johnson meeting".into(),
            source: IntentSource::Host,
            class: None,
        }),
        history: Arc::from([Arc::new(prior)]),
        action_count: 1,
        level: Some((DataLevel::Confidential, LevelSource::Label)),
        labels: Arc::from([Arc::from("PII")]),
        signals: Signals {
            semantic_distance: Some(PartsPerMillion(150_000)),
            cumulative_drift: Some(PartsPerMillion(90_000)),
            scope_expansion: Some(false),
            classification_escalation: Some(true),
            velocity_anomaly: None,
            unusual_sequence: None,
            chain_length_exceeded: Some(false),
            ..Signals::default()
        },
        context_hash: Digest::of(b"context"),
    }
}

pub(crate) fn decision(verdict: Verdict) -> Decision {
    Decision {
        verdict,
        enforcement: Enforcement::Enforce,
        classification: Classification::ContextDependentAllow,
        policy: PolicyReference {
            hash: Digest::of(b"policy"),
            policy_id: "policy-123".into(),
            rule_id: Some("r1".into()),
            version: "3".into(),
        },
        policy_set: Digest::of(b"set"),
        reason: "reads of the customer table are allowed".into(),
        reason_code: ReasonCode::PolicyRule,
        matched: vec![MatchedRule {
            action: verdict,
            policy_id: "policy-123".into(),
            rule_id: "r1".into(),
            shadow: false,
        }],
        edits: vec![Edit { pointer: "/limit".into(), kind: EditKind::Set("100".into()) }],
        severity: Severity::Info,
        approvers: vec!["security@company.example".into()],
        confidence: None,
        exception: None,
        tags: Vec::new(),
        effect: ContextEffect::default(),
        meters: Vec::new(),
        evaluation_us: 412,
    }
}

pub(crate) fn outcome(status: OutcomeStatus) -> Outcome {
    Outcome {
        status,
        started: Timestamp::from_micros(1_795_209_298_100_000),
        completed: Timestamp::from_micros(1_795_209_298_145_000),
        upstream: "db.internal:5432".into(),
        http_status: Some(200),
        error_code: None,
        error: None,
        result: ResultSummary { bytes: 2_048, digest: Some(Digest::of(b"result")), notifications: 1 },
        server_version: Some("postgres-mcp 1.0.0".into()),
    }
}

/// A directory for one test; the test removes it.
pub(crate) fn scratch(name: &str) -> std::path::PathBuf {
    let random = crate::net::random_bytes::<8>().unwrap();
    let directory =
        std::env::temp_dir().join(format!("countersign-{name}-{}", Digest::of(&random).to_hex().get(..16).unwrap()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}
