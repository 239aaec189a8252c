//! Mapping tables: one text file a schema, readable by whoever maps fields in a SIEM.
//!
//! ```text
//! # what it is about
//! [aarm.action]                                           a section: lines that apply together
//! session_id                       session.id             member of the event, where it comes from
//! decision.distance                fraction decision.signals.semantic_distance_ppm
//! {>=1.4} action_id                $effect ? allowed=1 denied=2 *=99
//! ```
//!
//! A line may begin with conditions in braces: all of a version bound (`>=1.4`, `<1.4`), the name of an option (`acs`),
//! or its absence (`!acs`). Of two lines with one target the later one counts. What stands right of the target is an
//! [`super::expression`].

/// The tables of this program.
pub(super) const TABLES: [Table; 7] = [
    Table { name: "aarm", text: include_str!("tables/aarm.table") },
    Table { name: "cef", text: include_str!("tables/cef.table") },
    Table { name: "cim", text: include_str!("tables/cim.table") },
    Table { name: "ecs", text: include_str!("tables/ecs.table") },
    Table { name: "ocsf", text: include_str!("tables/ocsf.table") },
    Table { name: "otel", text: include_str!("tables/otel.table") },
    Table { name: "udm", text: include_str!("tables/udm.table") },
];

/// A table and its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

/// One line of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The names of its section.
    pub(super) section: &'a str,
    /// What must hold for it to apply; empty for always.
    conditions: &'a str,
    pub(super) target: &'a str,
    pub(super) expression: &'a str,
}

/// What conditions are compared with.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// Major and minor version of the schema.
    pub(super) version: (u16, u16),
    /// Options that are on, the event type among them.
    pub(super) options: Vec<&'static str>,
}

/// The lines of a table, in order.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut section = "";
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(names) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = names;
            return None;
        }
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (conditions, rest) = match line.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((conditions, rest)) => (conditions, rest.trim_start()),
            None => ("", line),
        };
        let (target, expression) = rest.split_once(' ')?;
        Some(Line { section, conditions, target, expression: expression.trim() })
    })
}

/// The lines of `sections` of the table `name` that apply, section by section.
pub(super) fn chosen<'a>(
    name: &str,
    sections: &'a [&'a str],
    choice: &'a Choice,
) -> impl Iterator<Item = Line<'static>> + 'a {
    let text = TABLES.iter().find(|table| table.name == name).map_or("", |table| table.text);
    sections.iter().flat_map(move |section| {
        lines(text).filter(move |line| line.section.split(' ').any(|name| name == *section) && line.applies(choice))
    })
}

impl Line<'_> {
    fn applies(&self, choice: &Choice) -> bool {
        self.conditions.split(' ').filter(|condition| !condition.is_empty()).all(|condition| {
            if let Some(version) = condition.strip_prefix(">=") {
                choice.version >= parse_version(version)
            } else if let Some(version) = condition.strip_prefix('<') {
                choice.version < parse_version(version)
            } else if let Some(option) = condition.strip_prefix('!') {
                !choice.options.contains(&option)
            } else {
                choice.options.contains(&condition)
            }
        })
    }
}

/// Where the member `field` of events in the schema `aarm` stands in entries; `None` when there is no such member, or it
/// stands in no single place.
pub(in crate::export) fn member_of(field: &str) -> Option<&'static str> {
    let text = TABLES.iter().find(|table| table.name == "aarm").map_or("", |table| table.text);
    let found = lines(text).find(|line| line.target.replace(['?', '!', '*'], "") == field)?.expression;
    let is_path = found.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'));
    is_path.then_some(found)
}

/// Major and minor of a version; 0 for what is missing.
pub(super) fn parse_version(text: &str) -> (u16, u16) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_apply_when_all_their_conditions_hold() {
        let text = "[a b]\n# nothing\nx  y\n{>=1.4 acs} z  w v\n{<1.4 !acs} q r\n";
        let read: Vec<_> = lines(text).collect();
        assert_eq!(read[0], Line { section: "a b", conditions: "", target: "x", expression: "y" });
        assert_eq!((read[1].target, read[1].expression), ("z", "w v"));
        let with = |version, options| Choice { version, options };
        let applies = |choice: &Choice| read.iter().map(|line| line.applies(choice)).collect::<Vec<_>>();
        assert_eq!(applies(&with((1, 4), vec!["acs"])), [true, true, false]);
        assert_eq!(applies(&with((1, 4), vec![])), [true, false, false]);
        assert_eq!(applies(&with((1, 1), vec![])), [true, false, true]);
        assert_eq!((parse_version("1.10.2"), parse_version("1")), ((1, 10), (1, 0)));
    }
}
