//! Whether a member name stands twice in one object.

use std::collections::HashSet;

use super::view::Kind;
use super::{JsonError, View};

/// Objects up to this size are checked for duplicates by comparing all pairs, larger ones by short keys, and with a set
/// when two keys are the same.
const PAIRWISE_MAX: usize = 8;

/// Checks the names of an object; of any other value there is nothing to check.
///
/// # Errors
/// [`JsonError::Duplicate`]: the first that stands twice.
pub(super) fn no_duplicates(object: View<'_>) -> Result<(), JsonError> {
    if object.kind() != Kind::Object {
        return Ok(());
    }
    // Names are compared as they are written where nothing in them is escaped: that is almost every object.
    let duplicate = if object.written_members().any(|(name, _)| name.as_bytes().contains(&b'\\')) {
        find_duplicate(|| object.members())
    } else {
        find_duplicate(|| object.written_members())
    };
    duplicate.map_or(Ok(()), |value| {
        let name = object.members().find(|(_, other)| other.place() == value.place());
        let name = name.map_or_else(String::new, |(name, _)| name.chars().take(60).collect());
        Err(JsonError::Duplicate { name, offset: value.key_span().start })
    })
}

/// The first member whose name stands in the object before.
fn find_duplicate<'a, N, M>(members: impl Fn() -> M) -> Option<View<'a>>
where
    N: AsRef<str> + Eq + std::hash::Hash,
    M: Iterator<Item = (N, View<'a>)>,
{
    if members().nth(PAIRWISE_MAX).is_none() {
        return members().enumerate().find_map(|(position, (name, value))| {
            members().take(position).any(|(other, _)| other == name).then_some(value)
        });
    }
    // Names with keys of their own are names of their own.
    let mut keys: Vec<u64> = members().map(|(name, _)| name_key(name.as_ref().as_bytes())).collect();
    keys.sort_unstable();
    if keys.windows(2).all(|pair| pair.first() != pair.last()) {
        return None;
    }
    let mut seen = HashSet::new();
    members().find_map(|(name, value)| (!seen.insert(name)).then_some(value))
}

/// Length, first and last bytes of a name in one number: the same for the same name, rarely for two.
pub(crate) fn name_key(name: &[u8]) -> u64 {
    let word =
        |bytes: &mut dyn Iterator<Item = &u8>| bytes.take(8).fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let (first, last) = (word(&mut name.iter()), word(&mut name.iter().rev()));
    first ^ last.rotate_left(29) ^ (name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::super::{JsonError, Limits, scan};

    #[test]
    fn duplicates_are_found_however_many_names_there_are() {
        // The first two differ in the middle alone, so that their keys are the same.
        let long = ["aaaaaaaa1zzzzzzzz", "aaaaaaaa2zzzzzzzz"];
        for count in 2..40 {
            let names = long.into_iter().map(str::to_owned).chain((2..count).map(|number| format!("name{number}")));
            let members: Vec<String> = names.map(|name| format!("\"{name}\":0")).collect();
            let scanned =
                |members: &[String]| scan(format!("{{{}}}", members.join(",")).as_bytes(), Limits::default()).map(drop);
            assert_eq!(scanned(&members), Ok(()), "{count}");
            for twice in 0..count {
                let again = [members.clone(), vec![members[twice].clone()]].concat();
                assert!(matches!(scanned(&again), Err(JsonError::Duplicate { .. })), "{count} {twice}");
            }
        }
    }

    #[test]
    fn names_in_order_are_checked_as_names_in_any_order_are() {
        for (text, twice) in [
            (r#"{"a":0,"b":0,"b":0}"#, true),
            (r#"{"a":0,"ab":{"a":0,"a":0},"b":0}"#, true),
            (r#"{"a":{"z":0},"b":0,"c":{"a":0}}"#, false),
            (r#"{"a":0,"a\u0062":0,"ab":0}"#, true),
            (r#"{"\u0062":0,"b":0}"#, true),
            (r#"{"b":0,"a":0,"b":0}"#, true),
            (r#"{"b":0,"a":[{"b":0},{"b":0}]}"#, false),
            (r#"[{"a":0},{"a":0}]"#, false),
        ] {
            let found = scan(text.as_bytes(), Limits::default());
            assert_eq!(matches!(found, Err(JsonError::Duplicate { .. })), twice, "{text}");
            assert_eq!(found.is_ok(), !twice, "{text}");
        }
    }
}
