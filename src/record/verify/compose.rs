//! The report, out of everything that was built up on the way.

use super::VerifyOptions;
use super::findings::Findings;
use super::ledger::Ledger;
use super::outside::Outside;
use super::report::Report;
use super::sentences::{Facts, freshness, witnessing};
use super::trust::short;
use crate::record::Checkpoint;
use crate::record::entry::Kind;

/// The report of a verified log.
pub(super) fn report(
    origin: String,
    checkpoint: Option<Checkpoint>,
    (tail, removed): (u64, u64),
    ledger: Ledger,
    outside: &Outside,
    options: &VerifyOptions,
    findings: Findings,
) -> Report {
    let size = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
    let root_id = short(ledger.keys.root_id());
    let newest = ledger.clock.newest();
    let chains = ledger.chains.total;
    let gaps =
        [Kind::Gap, Kind::ExportGap, Kind::Redaction].iter().filter_map(|kind| ledger.kinds.get(kind.as_str())).sum();
    let (incomplete, incomplete_total) = ledger.actions.incomplete();
    let removed_by = ledger.removed.map_or(0, |(index, _)| index);
    let facts = Facts { size, tail, removed, removed_by, chains, gaps, incomplete_total, findings: &findings };
    let assertions = (
        facts.integrity(&root_id, options.root_key.is_some()),
        facts.order(),
        facts.sessions(),
        facts.log(outside),
        freshness(newest.map(|newest| newest.to_string()), facts.anchored(outside)),
        witnessing(checkpoint.as_ref(), ledger.anchors.len()),
    );
    let (integrity, order, session_completeness, log_completeness, freshness, witnessing) = assertions;
    let (problems, problems_total) = findings.into_problems();
    Report {
        origin,
        size,
        root: checkpoint.map(|checkpoint| checkpoint.root),
        tail,
        removed,
        integrity,
        order,
        session_completeness,
        log_completeness,
        freshness,
        witnessing,
        problems,
        problems_total,
        incomplete,
        incomplete_total,
        predecessor: ledger.predecessor,
        kinds: ledger.kinds,
        unknown_kinds: ledger.unknown_kinds,
        unknown_members: ledger.unknown_members,
        payloads: ledger.payloads,
    }
}
