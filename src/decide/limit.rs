//! Limits of a rule: how often an agent may do something, and how much in sum (resolution G-16).

use super::datum::Datum;
use super::input::Input;
use super::number::Number;
use super::path::{self, Budget, Path, Place};

/// The limit that a rule has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// How far back it counts, seconds.
    pub(super) window_s: u32,
    /// The parameter whose sum counts; `None`: actions do.
    pub(super) amount: Option<Path>,
}

/// How the limit of a rule is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reckoning<'s> {
    /// As if it were passed: whether this action is one that it counts.
    Passed,
    /// By what stands on the rule's meter.
    Usage(&'s str),
}

/// Largest list of amounts in one action that is added up.
const AMOUNTS_MAX: u32 = 10_000;

/// What would stand on the meter with this action. Unknown where nobody counts, and where an amount is no number: a
/// limit must not be passed by writing the number as a text.
pub(super) fn datum<'a>(limit: &Limit, reckoning: &Reckoning<'_>, input: &Input<'_>) -> Datum<'a> {
    let Reckoning::Usage(meter) = reckoning else { return Datum::Number(Number::Float(f64::MAX)) };
    let Some(usage) = input.usage.iter().find(|usage| &*usage.meter == *meter) else { return Datum::Unknown };
    match &limit.amount {
        None => Datum::Number(Number::Integer(i128::from(usage.count) + 1)),
        Some(path) => match milli(path, input) {
            // A thousandth of a unit: exact for every sum that a policy writes.
            Some(milli) => Datum::Number(thousandths(i128::from(usage.sum_milli) + i128::from(milli))),
            None => Datum::Unknown,
        },
    }
}

#[expect(clippy::cast_precision_loss, reason = "sums that are no whole number of units are compared as IEEE 754")]
fn thousandths(milli: i128) -> Number {
    if milli % 1_000 == 0 { Number::Integer(milli / 1_000) } else { Number::Float(milli as f64 / 1e3) }
}

/// The sum of the amounts of this action, thousandths, rounded up. Negative amounts count as much as positive ones:
/// taking back must not make room for more. `None`: one is no number, or none is there.
pub(super) fn milli(path: &Path, input: &Input<'_>) -> Option<u64> {
    let (mut sum, mut seen, mut sound) = (0_u64, false, true);
    let arguments = &input.call.action.arguments.value;
    let walked = path::walk(arguments, &path.steps, &mut Budget(AMOUNTS_MAX), &mut |place| {
        let number = match place {
            Place::Value(serde_json::Value::Number(number)) => number.as_f64(),
            _ => None,
        };
        match number.and_then(whole_milli) {
            Some(milli) => (sum, seen) = (sum.saturating_add(milli), true),
            None => sound = false,
        }
        Ok(())
    });
    (walked.is_ok() && seen && sound).then_some(sum)
}

fn whole_milli(amount: f64) -> Option<u64> {
    let milli = (amount.abs() * 1e3).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative; what is larger than any u64 counts as the largest"
    )]
    milli.is_finite().then_some(milli as u64)
}
