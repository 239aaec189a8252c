//! Numbers as rules compare them: integers exactly, everything else as IEEE 754.

use std::cmp::Ordering;

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// Any 64-bit integer, signed or not.
    Integer(i128),
    /// Anything else that JSON writes. Never NaN: JSON has none.
    Float(f64),
}

impl Number {
    pub(super) fn of(number: &serde_json::Number) -> Option<Self> {
        let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        integer.map(Self::Integer).or_else(|| number.as_f64().map(Self::Float))
    }

    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => Some(left.cmp(&right)),
            (left, right) => left.as_float().partial_cmp(&right.as_float()),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the comparison of an integer with a fraction is IEEE 754's")]
    const fn as_float(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(float) => float,
        }
    }
}

/// How a number is compared with a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    pub(super) const fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_integers_are_compared_exactly() {
        let large = Number::Integer(9_007_199_254_740_993);
        assert_eq!(large.compare(Number::Integer(9_007_199_254_740_992)), Some(Ordering::Greater));
        assert_eq!(Number::Float(1.5).compare(Number::Integer(1)), Some(Ordering::Greater));
        assert_eq!(Number::Float(100.0).compare(Number::Integer(100)), Some(Ordering::Equal));
        let parsed = serde_json::from_str("18446744073709551615").unwrap();
        assert_eq!(Number::of(&parsed), Some(Number::Integer(18_446_744_073_709_551_615)));
    }
}
