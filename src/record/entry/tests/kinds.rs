//! One entry of every kind, with every member filled.

use super::*;

fn text() -> Text<'static> {
    "text \"é\"".into()
}

fn some() -> Option<Text<'static>> {
    Some(text())
}

fn digest() -> Digest {
    Digest::of(b"x")
}

fn at() -> Timestamp {
    Timestamp::from_secs(1_795_209_298)
}

fn scope() -> Option<ScopeBlock<'static>> {
    Some(ScopeBlock { kind: "agent".into(), value: some() })
}

fn trace() -> Option<TraceBlock<'static>> {
    Some(TraceBlock { parent_span_id: text(), span_id: some(), trace_id: text() })
}

fn signals() -> SignalsBlock {
    let flags = "chain_length_exceeded classification_escalation commanded_by_content credential_use delegated_intent \
                 drift_detected effect_ordered_by_content goal_restatement instruction_like link_fetch link_same_host \
                 privilege_escalation scope_expansion session_instruction_like sink_prose_only sink_synthesised \
                 unusual_sequence velocity_anomaly";
    let mut all: serde_json::Map<_, _> = flags.split_whitespace().map(|flag| (flag.to_owned(), true.into())).collect();
    for (name, value) in [("effect", "communicate"), ("distance_source", "ngram"), ("sink_origin", "prose")] {
        all.insert(name.to_owned(), value.into());
    }
    all.insert("cumulative_drift_ppm".to_owned(), 1.into());
    all.insert("semantic_distance_ppm".to_owned(), 780_000.into());
    serde_json::from_value(all.into()).unwrap()
}

/// The blocks of an action, every nullable member filled.
fn action_blocks(predicate: &mut Predicate<'static>) {
    let mut recorded = Recorded::new("{}");
    recorded.forwarded = Some(b"{}".to_vec());
    let read = read_payload(&recorded.payload(Kind::Outcome)).unwrap().statement.predicate;
    let context = read_payload(&recorded.payload(Kind::Decision)).unwrap().statement.predicate.context;
    let mut action = read.action.unwrap();
    action.effect = Some(EffectBlock {
        category: some(),
        destructive: Some(true),
        idempotent: Some(false),
        open_world: Some(true),
        read_only: Some(false),
        source: "registry".into(),
    });
    action.step = Some(StepBlock {
        id: some(),
        model: Some(ModelBlock { id: some(), provider: some() }),
        reasoning: some(),
        turn_id: some(),
        step_type: some(),
    });
    action.trace = trace();
    let mut identity = read.identity.unwrap();
    if let Some(agent) = &mut identity.agent {
        (agent.name, agent.provider) = (some(), Some(ProviderBlock { name: some(), url: some() }));
    }
    let mut decision = read.decision.unwrap();
    decision.alignment_ppm = Some(PartsPerMillion(1));
    decision.confidence_ppm = Some(PartsPerMillion(1));
    (decision.break_glass_id, decision.exception_id, decision.grant_id) = (some(), some(), some());
    decision.provenance = Some(vec![ProvenanceBlock {
        form: some(),
        from_action: some(),
        from_operation: some(),
        from_result: Some(3),
        origin: text(),
        pointer: text(),
        sink: true,
    }]);
    decision.meters = vec![MeterBlock { amount_milli: 12_500, meter: text() }];
    decision.sets = Some(SetsBlock { labels: vec![text()], level: Some(DataLevel::Confidential) });
    (decision.risk_level, decision.supersedes, decision.tags) = (Some(Severity::High), some(), vec![text()]);
    let mut outcome = read.outcome.unwrap();
    (outcome.error, outcome.error_code) = (some(), Some(-32_603));
    outcome.result.text = some();
    if let Some(upstream) = &mut outcome.upstream {
        upstream.command = some();
    }
    identity.problem = some();
    predicate.approval = Some(Box::new(approval()));
    predicate.deferral = Some(Box::new(deferral()));
    (predicate.action, predicate.identity, predicate.context) = (Some(action), Some(identity), context);
    (predicate.decision, predicate.outcome) = (Some(decision), Some(outcome));
}

fn approval() -> ApprovalBlock<'static> {
    ApprovalBlock {
        approver: some(),
        approver_verification: Some(Verification::Jwt),
        approvers: vec![text()],
        binding: Some(digest()),
        channel: some(),
        decided: Some(at()),
        escalated_to: vec![text()],
        expires: Some(at()),
        reason: some(),
        decision_leaf: Some(digest()),
        request_id: "apr_1".into(),
        requested: at(),
        response_us: Some(45_000_000),
        risk_level: Some(Severity::High),
        shown_hash: Some(digest()),
        source: "step_up".into(),
        status: ApprovalResult::Approved,
    }
}

fn deferral() -> DeferralBlock<'static> {
    DeferralBlock {
        attempts: 2,
        deferral_id: "dfr_1".into(),
        deferred: at(),
        expires: Some(at()),
        method: some(),
        reason: text(),
        decision_leaf: Some(digest()),
        resolved: Some(at()),
        result: some(),
        trigger: text(),
        waits_for: vec![text()],
    }
}

fn about_the_log(predicate: &mut Predicate<'static>, kind: Kind) {
    match kind {
        Kind::Genesis => {
            predicate.genesis = Some(Box::new(GenesisBlock {
                binary_hash: Some(digest()),
                config_hash: Some(digest()),
                instance_id: text(),
                predecessor: Some(PredecessorBlock { origin: text(), root: digest(), size: 1 }),
                root_key: text(),
                root_keyid: text(),
                version: text(),
            }));
        }
        Kind::Key => {
            predicate.key = Some(Box::new(KeyBlock {
                epoch: 1,
                first_index: 2,
                log_key: some(),
                not_after: Some(at()),
                not_before: at(),
                receipt_key: text(),
                receipt_keyid: text(),
                revoke: Some(RevokeBlock { epoch: 1, keyid: text(), reason: text(), suspected_from_index: 3 }),
                root_keyid: text(),
            }));
        }
        Kind::Anchor => {
            predicate.anchor = Some(Box::new(AnchorBlock {
                name: text(),
                root: digest(),
                size: 1,
                time: Some(at()),
                token: text(),
                anchor_type: text(),
            }));
        }
        Kind::Redaction => {
            predicate.redaction = Some(Box::new(RedactionBlock {
                approver: some(),
                count: Some(1),
                from: Some(1),
                policy: some(),
                reason: text(),
                sessions: vec![text()],
                to: Some(2),
                what: text(),
            }));
        }
        Kind::Gap => {
            predicate.gap =
                Some(Box::new(GapBlock { cause: text(), count: Some(1), from: Some(at()), to: Some(at()) }));
        }
        Kind::Close => {
            predicate.close =
                Some(Box::new(CloseBlock { entries: 1, reason: text(), root: digest(), successor: some() }));
        }
        _ => {}
    }
}

fn about_the_operator(predicate: &mut Predicate<'static>, kind: Kind) {
    match kind {
        Kind::Policy => {
            predicate.policy = Some(Box::new(PolicySetBlock {
                changes: PolicyChanges { added: vec![text()], changed: vec![text()], removed: vec![text()] },
                error: some(),
                hash: digest(),
                loaded: true,
                policies: vec![LoadedPolicy {
                    hash: digest(),
                    policy_id: text(),
                    rules: 1,
                    shadow_rules: 1,
                    version: text(),
                }],
                policies_total: 1,
                previous: Some(digest()),
            }));
        }
        Kind::Control => {
            predicate.control = Some(Box::new(ControlBlock {
                actor: some(),
                actor_verification: Some(Verification::Mtls),
                approvers: vec![text()],
                control_id: some(),
                count: Some(1),
                event: "suspend".into(),
                expires: Some(at()),
                peer: some(),
                reason: some(),
                scope: scope(),
                since: Some(at()),
                ticket: some(),
                until: Some(at()),
                version: some(),
            }));
        }
        Kind::Grant => {
            predicate.grant = Some(Box::new(GrantBlock {
                approver: some(),
                event: text(),
                expires: Some(at()),
                grant_id: text(),
                operation: some(),
                pointer: some(),
                reason: some(),
                scope: scope(),
                tool: some(),
                uses: 1,
                uses_max: Some(2),
                value_hash: Some(digest()),
            }));
        }
        Kind::ToolPin => {
            predicate.tool_pin = Some(Box::new(ToolPinBlock {
                actor: some(),
                part: 1,
                parts: 1,
                server: text(),
                server_version: some(),
                tools: vec![PinnedTool {
                    change: text(),
                    digest: Some(digest()),
                    name: text(),
                    previous: Some(digest()),
                }],
            }));
        }
        _ => {}
    }
}

fn about_delivery(predicate: &mut Predicate<'static>, kind: Kind) {
    match kind {
        Kind::ExportCheckpoint => {
            predicate.export_checkpoint = Some(Box::new(ExportCheckpointBlock {
                destinations: vec![DestinationCount {
                    dead: 1,
                    delivered: 2,
                    destination: text(),
                    filtered: 3,
                    skipped: 4,
                    through: 5,
                }],
                root: Some(digest()),
                size: 6,
            }));
        }
        Kind::ExportGap => {
            predicate.export_gap = Some(Box::new(ExportGapBlock {
                actor: some(),
                cause: text(),
                count: Some(1),
                destination: text(),
                from: 1,
                to: 2,
            }));
        }
        _ => {}
    }
}

fn about_the_session(predicate: &mut Predicate<'static>, kind: Kind) {
    match kind {
        Kind::Context => {
            predicate.facts = Some(Box::new(FactsBlock {
                context_hash: digest(),
                end: Some(SessionEnd {
                    actions: 1,
                    correlation: Correlation::Transport,
                    intent_source: Some(IntentSource::Host),
                    last_action: Some(at()),
                    reason: text(),
                    started: at(),
                }),
                entities: vec![text()],
                instructions: 1,
                labels: vec![text()],
                level: Some(LevelBlock { source: LevelSource::Detector, value: DataLevel::Restricted }),
                part: 1,
                parts: 1,
                previous_hash: Some(digest()),
                result_hash: Some(digest()),
                trust: text(),
                values: vec![ValueBlock { form: text(), hash: digest() }],
                values_total: 1,
                whole: Some(true),
            }));
        }
        Kind::Drift => {
            predicate.drift = Some(Box::new(DriftBlock {
                model: some(),
                model_hash: Some(digest()),
                decision_leaf: Some(digest()),
                severity: Severity::Medium,
                signals: signals(),
                threshold_ppm: Some(PartsPerMillion(700_000)),
                trigger: text(),
            }));
        }
        Kind::Observed => {
            predicate.observed = Some(Box::new(ObservedBlock {
                agent: some(),
                at: at(),
                event_name: text(),
                human: some(),
                joined_action_id: some(),
                severity: Some(Severity::Low),
                source: text(),
                success: Some(true),
                text: some(),
                tool: some(),
                trace: trace(),
                truncated: false,
            }));
        }
        Kind::Recovery => {
            predicate.recovery = Some(Box::new(RecoveryBlock {
                forwarded: "maybe".into(),
                index: 1,
                lost_run_id: text(),
                decision_leaf: digest(),
                result: "unknown".into(),
            }));
        }
        _ => {}
    }
}

/// An entry of that kind with every member filled.
pub(super) fn filled(kind: Kind) -> Statement<'static> {
    let mut predicate = Predicate {
        kind: kind.as_str().into(),
        log: log(),
        receipt_id: "rct_1".into(),
        session: Some(SessionBlock { prev_origin: some(), ..session() }),
        time: time(),
        v: 1,
        ..Predicate::default()
    };
    action_blocks(&mut predicate);
    about_the_log(&mut predicate, kind);
    about_the_operator(&mut predicate, kind);
    about_delivery(&mut predicate, kind);
    about_the_session(&mut predicate, kind);
    Statement::new(predicate, "localhost/1".into(), digest().to_hex())
}

#[test]
fn every_kind_is_canonical_and_round_trips() {
    for kind in Kind::ALL {
        let statement = filled(kind);
        let payload = write_statement(&statement).unwrap();
        assert!(canonical(&payload), "{}", String::from_utf8_lossy(&payload));
        let read = read_payload(&payload).unwrap();
        assert_eq!(read.statement, statement);
        assert_eq!(read.unknown, Vec::<String>::new());
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        Outline::read(&payload).unwrap();
    }
}
