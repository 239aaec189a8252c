//! What the product counts about itself: names as an enum, so that none is spelt twice.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Actions that were decided.
    Actions,
    /// Of these, refused.
    Denied,
    /// Of these, changed.
    Modified,
    /// Of these, that wait for a person.
    SteppedUp,
    /// Of these, suspended.
    Deferred,
    /// Actions forwarded although the decision was against them.
    ShadowForwarded,
    /// Protocol frames passed on.
    Frames,
    /// Requests refused before they were calls.
    Malformed,
    /// Calls refused because evidence could not be written.
    LogRefusals,
    /// Calls that a server did not answer.
    UpstreamFailures,
    /// Events delivered to destinations.
    EventsExported,
    /// Attempts to deliver that failed.
    ExportFailures,
    /// Reloads that were refused.
    ReloadFailures,
    /// Tokens of the admin API that were refused.
    AdminLoginsRefused,
    /// Requests to people.
    ApprovalsRequested,
    /// Of these, answered with yes.
    ApprovalsGranted,
    /// Of these, answered with no.
    ApprovalsDenied,
    /// Of these, that nobody answered in time.
    ApprovalsExpired,
    /// Of these, passed on to others.
    ApprovalsEscalated,
    /// Uses of the kill switch.
    Suspensions,
    /// Uses of break-glass.
    BreakGlasses,
    /// Suspended actions that were taken up.
    Deferrals,
    /// Actions that could not be suspended: too many, or too deep.
    DeferralsRefused,
    /// Suspended actions that nothing settled in time.
    DeferralsExpired,
    /// Suspended actions that people were asked about.
    DeferralsEscalated,
    /// Facts from calendars.
    ResolvedByCalendar,
    /// Facts from lookups.
    ResolvedByHttp,
    /// Facts from inventories.
    ResolvedByInventory,
    /// Messages that people were sent.
    NotificationsSent,
    /// Messages that could not be sent.
    NotificationsFailed,
}

/// All counters, with the name and the help that Prometheus shows.
pub const COUNTERS: [(Counter, &str, &str); 30] = [
    (Counter::Actions, "aarm_actions_total", "Actions decided"),
    (Counter::Denied, "aarm_actions_denied_total", "Actions refused"),
    (Counter::Modified, "aarm_actions_modified_total", "Actions forwarded with changed parameters"),
    (Counter::SteppedUp, "aarm_actions_stepup_total", "Actions that need a person"),
    (Counter::Deferred, "aarm_actions_deferred_total", "Actions suspended"),
    (Counter::ShadowForwarded, "countersign_shadow_forwarded_total", "Actions forwarded although shadow would refuse"),
    (Counter::Frames, "countersign_protocol_frames_total", "Protocol frames passed on"),
    (Counter::Malformed, "countersign_malformed_requests_total", "Requests refused before they were calls"),
    (Counter::LogRefusals, "countersign_log_refusals_total", "Calls refused because evidence could not be written"),
    (Counter::UpstreamFailures, "countersign_upstream_failures_total", "Calls that a server did not answer"),
    (Counter::EventsExported, "countersign_export_events_total", "Events delivered to destinations"),
    (Counter::ExportFailures, "countersign_export_failures_total", "Failed attempts to deliver"),
    (Counter::ReloadFailures, "countersign_reload_failures_total", "Reloads that were refused"),
    (Counter::AdminLoginsRefused, "countersign_admin_logins_refused_total", "Refused tokens of the admin API"),
    (Counter::ApprovalsRequested, "countersign_approvals_requested_total", "Requests to people"),
    (Counter::ApprovalsGranted, "countersign_approvals_granted_total", "Requests that were answered with yes"),
    (Counter::ApprovalsDenied, "countersign_approvals_denied_total", "Requests that were answered with no"),
    (Counter::ApprovalsExpired, "countersign_approvals_expired_total", "Requests that nobody answered in time"),
    (Counter::ApprovalsEscalated, "countersign_approvals_escalated_total", "Requests that were passed on to others"),
    (Counter::Suspensions, "countersign_suspensions_total", "Uses of the kill switch"),
    (Counter::BreakGlasses, "countersign_break_glass_total", "Uses of break-glass"),
    (Counter::Deferrals, "countersign_deferrals_total", "Suspended actions that were taken up"),
    (
        Counter::DeferralsRefused,
        "countersign_deferrals_refused_total",
        "Actions that could not be suspended: too many, or too deep",
    ),
    (
        Counter::DeferralsExpired,
        "countersign_deferrals_expired_total",
        "Suspended actions that nothing settled in time",
    ),
    (
        Counter::DeferralsEscalated,
        "countersign_deferrals_escalated_total",
        "Suspended actions that people were asked about",
    ),
    (Counter::ResolvedByCalendar, "countersign_resolved_calendar_total", "Facts from calendars"),
    (Counter::ResolvedByHttp, "countersign_resolved_http_total", "Facts from lookups"),
    (Counter::ResolvedByInventory, "countersign_resolved_inventory_total", "Facts from inventories"),
    (Counter::NotificationsSent, "countersign_notifications_sent_total", "Messages that people were sent"),
    (Counter::NotificationsFailed, "countersign_notifications_failed_total", "Messages that could not be sent"),
];

/// A state of the product that is no count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// 1 while the policy files, as they are now, do not load.
    PoliciesRefused,
}

/// All gauges, with the name and the help that Prometheus shows.
pub const GAUGES: [(Gauge, &str, &str); 1] = [(
    Gauge::PoliciesRefused,
    "countersign_policies_refused",
    "1 while the policy files, as they are now, do not load",
)];

static STATES: [AtomicU64; GAUGES.len()] = [const { AtomicU64::new(0) }; GAUGES.len()];

/// Says how it is now.
pub fn set(gauge: Gauge, now: u64) {
    if let Some(state) = STATES.get(gauge as usize) {
        state.store(now, Ordering::Relaxed);
    }
}

static VALUES: [AtomicU64; COUNTERS.len()] = [const { AtomicU64::new(0) }; COUNTERS.len()];

/// Adds one.
pub fn count(counter: Counter) {
    add(counter, 1);
}

/// Adds `n`.
pub fn add(counter: Counter, n: u64) {
    if let Some(value) = VALUES.get(counter as usize) {
        value.fetch_add(n, Ordering::Relaxed);
    }
}

/// The value now.
#[must_use]
pub fn value(counter: Counter) -> u64 {
    VALUES.get(counter as usize).map_or(0, |value| value.load(Ordering::Relaxed))
}

/// All counters and gauges in the text format of Prometheus.
#[must_use]
pub fn render() -> String {
    let mut out = String::new();
    for (counter, name, help) in COUNTERS {
        out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {}\n", value(counter)));
    }
    for (gauge, name, help) in GAUGES {
        let now = STATES.get(gauge as usize).map_or(0, |state| state.load(Ordering::Relaxed));
        out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {now}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_stands_at_its_own_place() {
        for (index, (counter, _, _)) in COUNTERS.into_iter().enumerate() {
            assert_eq!(counter as usize, index);
        }
        for (index, (gauge, _, _)) in GAUGES.into_iter().enumerate() {
            assert_eq!(gauge as usize, index);
        }
    }
}
