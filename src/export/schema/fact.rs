//! Facts about an event that stand in no single member of its entry.

use std::borrow::Cow;

use super::Scene;
use super::value::Value;
use crate::export::Added;

/// A fact about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// Techniques of MITRE ATLAS, as OCSF writes attacks.
    Attacks,
    /// The block that an entry of this kind is about, whole.
    Block,
    /// Controls by framework.
    Compliance,
    /// The same as a list of `framework:control`.
    Controls,
    /// The same for events that are about nothing but that block; null for those about an action.
    Detail,
    /// What became of the action: see [`effect`].
    Effect,
    /// What was looked up, by the member it was looked up for.
    Enrichment,
    /// The same as a list of `member.field=value`.
    EnrichmentList,
    /// What became of the lookups.
    EnrichmentStatus,
    /// What was looked up, as OCSF writes it.
    Enrichments,
    /// The event's id.
    EventId,
    /// `aarm.action`, ...
    EventType,
    /// The entry's place in the log.
    Index,
    /// The entry's leaf hash.
    LeafHash,
    /// One sentence for people.
    Message,
    /// `tool.operation`.
    Name,
    /// The log.
    Origin,
    /// The configured name of the product.
    Product,
    /// The version of this program.
    ProductVersion,
    /// The version of the schema.
    SchemaVersion,
    /// `INFO` to `CRITICAL`.
    Severity,
    /// The event type without its first part: `action`, ...
    Short,
    /// Techniques of MITRE ATLAS.
    Techniques,
    /// When it happened.
    Time,
    /// The configured name of the vendor.
    Vendor,
}

impl Fact {
    /// The fact of that name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "attacks" => Self::Attacks,
            "block" => Self::Block,
            "compliance" => Self::Compliance,
            "controls" => Self::Controls,
            "detail" => Self::Detail,
            "effect" => Self::Effect,
            "enrichment" => Self::Enrichment,
            "enrichment_list" => Self::EnrichmentList,
            "enrichment_status" => Self::EnrichmentStatus,
            "enrichments" => Self::Enrichments,
            "event_id" => Self::EventId,
            "event_type" => Self::EventType,
            "index" => Self::Index,
            "leaf_hash" => Self::LeafHash,
            "message" => Self::Message,
            "name" => Self::Name,
            "origin" => Self::Origin,
            "product" => Self::Product,
            "product_version" => Self::ProductVersion,
            "schema_version" => Self::SchemaVersion,
            "severity" => Self::Severity,
            "short" => Self::Short,
            "techniques" => Self::Techniques,
            "time" => Self::Time,
            "vendor" => Self::Vendor,
            _ => return None,
        })
    }

    /// The fact in `scene`.
    pub(super) fn value<'a>(self, scene: &Scene<'a>) -> Value<'a> {
        let Scene { event, entry, origin, names } = *scene;
        let text = |text: &'a str| Value::Text(Cow::Borrowed(text));
        let made = |json: Option<String>| json.map_or(Value::Null, Value::Made);
        let added = event.added.as_deref();
        match self {
            Self::Attacks => made(names.tagging.attacks(event)),
            Self::Compliance => made(names.tagging.json(event)),
            Self::Controls => made(names.tagging.list(event)),
            Self::Techniques => made(names.tagging.techniques(event)),
            Self::Enrichment => made(added.map(Added::by_field)),
            Self::EnrichmentList => made(added.and_then(Added::as_list)),
            Self::EnrichmentStatus => added.map_or(Value::Null, |added| text(added.status())),
            Self::Enrichments => made(added.and_then(Added::as_ocsf)),
            Self::Detail if entry.at("action.action_id").is_some() => Value::Null,
            Self::Block | Self::Detail => {
                let block = entry.at("kind").and_then(|kind| kind.as_str()).and_then(|kind| {
                    // The block of a `context` entry has another name than its kind.
                    entry.predicate()?.get(if kind == "context" { "facts" } else { &kind })
                });
                block.map_or(Value::Null, |block| Value::Json(block.text()))
            }
            Self::Effect => effect(scene).map_or(Value::Null, text),
            Self::EventId => text(&event.id),
            Self::EventType => text(event.event_type.as_str()),
            Self::Index => i64::try_from(entry.index).map_or(Value::Null, Value::Integer),
            Self::LeafHash => Value::Text(entry.leaf_hash.to_string().into()),
            Self::Message => Value::Text(message(scene)),
            Self::Name => action_name(scene).map_or(Value::Null, |name| Value::Text(name.into())),
            Self::Origin => text(origin),
            Self::Product => text(&names.product),
            Self::ProductVersion => text(&names.product_version),
            Self::SchemaVersion => text(&names.schema_version),
            Self::Severity => text(event.severity.as_str()),
            Self::Short => text(event.event_type.short()),
            Self::Time => {
                let time = entry.at("outcome.completed").or_else(|| entry.at("time.wall"));
                time.map_or(Value::Null, |time| Value::Json(time.text()))
            }
            Self::Vendor => text(&names.vendor),
        }
    }
}

/// What became of the action: `allowed` `denied` `modified` `challenged` `deferred` as decided, `observed` when it was
/// forwarded though the policy would not have (shadow); of an approval `approved` `rejected` `pending` `escalated`
/// `expired`; of a deferral `deferred` or its result; of drift `detected`. Other events have none.
fn effect(scene: &Scene<'_>) -> Option<&'static str> {
    let entry = scene.entry;
    let word = |path| entry.text(path);
    match scene.event.event_type.short() {
        "approval" => Some(match &*word("approval.status") {
            "APPROVED" => "approved",
            "DENIED" => "rejected",
            "ESCALATED" => "escalated",
            "TIMEOUT" => "expired",
            _ => "pending",
        }),
        "deferral" => Some(match &*word("deferral.result") {
            "ALLOW" => "allowed",
            "DENY" => "denied",
            "STEP_UP" => "challenged",
            "TIMEOUT" => "expired",
            _ => "deferred",
        }),
        "drift" => Some("detected"),
        "action" | "decision" => {
            let enforced = entry.at("decision.enforced").and_then(|enforced| enforced.as_bool()).unwrap_or(true);
            Some(match (&*word("decision.result"), enforced) {
                ("ALLOW", _) => "allowed",
                (_, false) => "observed",
                ("MODIFY", _) => "modified",
                ("STEP_UP", _) => "challenged",
                ("DEFER", _) => "deferred",
                _ => "denied",
            })
        }
        _ => None,
    }
}

fn action_name(scene: &Scene<'_>) -> Option<String> {
    let (tool, operation) = (scene.entry.at("action.tool")?.as_str()?, scene.entry.at("action.operation")?.as_str()?);
    Some(format!("{tool}.{operation}"))
}

/// One sentence for people: why it was decided so, or what happened.
fn message<'a>(scene: &Scene<'a>) -> Cow<'a, str> {
    let entry = scene.entry;
    let name = || action_name(scene).unwrap_or_default();
    let kind = entry.text("kind");
    match scene.event.event_type.short() {
        "action" | "decision" => {
            let reason = entry.text("decision.reason");
            if reason.is_empty() { format!("{}: {}", name(), entry.text("decision.result")).into() } else { reason }
        }
        "approval" => {
            format!("{} {}: {}", entry.text("approval.request_id"), name(), entry.text("approval.status")).into()
        }
        "deferral" => {
            let result = entry.text("deferral.result");
            format!("{}: {}", name(), if result.is_empty() { "deferred" } else { &result }).into()
        }
        "drift" => format!("the session left its intent: {}", entry.text("drift.trigger")).into(),
        "control" => format!("{kind}: {}{}", entry.text("control.event"), entry.text("grant.event")).into(),
        _ => kind,
    }
}
