//! What a result is made of: fields with a value of their own, and running text.
//!
//! Tools answer in JSON, in the notation of YAML or of a programming language, in tables, in lists, and in prose. This
//! reader takes all of them apart without ever failing: what it does not recognise is running text, which is the
//! careful reading, because a value that stands in running text counts for less. It is not a parser of any of these
//! languages; it only needs to find where one value ends.

mod lines;
mod literal;
mod table;

use std::borrow::Cow;

/// One value of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf<'t> {
    /// The value, escapes resolved.
    pub(super) text: Cow<'t, str>,
    /// Values of one record share a number: the entry of a directory, the row of a table.
    pub(super) record: u32,
    /// How it stands there.
    pub(super) form: Form,
}

/// How a value stands in a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A field of its own.
    Field,
    /// A line or label of a text, which counts as a field. The text comes after its lines.
    Line,
    /// Running text.
    Text,
}

/// Most values that are taken out of one result. The rest is running text.
const LEAVES_MAX: usize = 20_000;

/// How often a text inside a value is taken apart again: lists that were printed into a text.
const NESTING_MAX: u8 = 2;

/// The values of a result, in order.
pub(super) fn leaves(text: &str) -> Vec<Leaf<'_>> {
    let mut out = Leaves { leaves: Vec::new(), record: 0 };
    out.whole(text, 0);
    out.leaves
}

struct Leaves<'t> {
    leaves: Vec<Leaf<'t>>,
    record: u32,
}

impl<'t> Leaves<'t> {
    /// A document of its own.
    fn whole(&mut self, text: &'t str, depth: u8) {
        let trimmed = text.trim();
        let read =
            literal::read(trimmed, self, depth) || table::read(trimmed, self) || lines::read(trimmed, self, depth);
        if !read {
            lines::prose(trimmed, self);
        }
    }

    fn push(&mut self, text: Cow<'t, str>, form: Form) {
        if !text.trim().is_empty() && self.leaves.len() < LEAVES_MAX {
            self.leaves.push(Leaf { text, record: self.record, form });
        }
    }

    fn next_record(&mut self) {
        self.record += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<(u32, String)> {
        leaves(text)
            .into_iter()
            .filter(|leaf| leaf.form != Form::Text)
            .map(|leaf| (leaf.record, leaf.text.into_owned()))
            .collect()
    }

    fn texts(text: &str) -> Vec<String> {
        fields(text).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn takes_json_and_printed_literals_apart() {
        for text in [
            r#"{"name": "Ann", "mail": "ann@x.test", "n": [1, 2.5]}"#,
            r"{'name': 'Ann', 'mail': 'ann@x.test', 'n': [1, 2.5]}",
            r"Person(name='Ann', mail='ann@x.test', n=[1, 2.5])",
            r#"{"name": "Ann", "rest": "{'mail': 'ann@x.test', 'n': \"[1, 2.5]\"}"}"#,
        ] {
            let found = texts(text);
            for value in ["Ann", "ann@x.test", "1", "2.5"] {
                assert!(found.iter().any(|field| field == value), "{value} in {text}: {found:?}");
            }
        }
    }

    #[test]
    fn keeps_records_together() {
        let json = fields(r#"[{"name":"Ann","mail":"a@x.test"},{"name":"Bob","mail":"b@x.test"}]"#);
        let record = |fields: &[(u32, String)], value: &str| fields.iter().find(|(_, text)| text == value).unwrap().0;
        assert_eq!(record(&json, "Ann"), record(&json, "a@x.test"));
        assert_ne!(record(&json, "Ann"), record(&json, "b@x.test"));
        let yaml = fields("- name: Ann\n  mail: a@x.test\n  groups:\n  - red\n- mail: b@x.test\n  name: Bob\n");
        assert_eq!(record(&yaml, "Ann"), record(&yaml, "a@x.test"));
        assert_eq!(record(&yaml, "Ann"), record(&yaml, "red"));
        assert_ne!(record(&yaml, "Ann"), record(&yaml, "b@x.test"));
    }

    #[test]
    fn reads_the_notation_of_yaml() {
        let text = "- body: 'Hi,\n\n\n    it''s me: pay now\n\n    Bob'\n  to:\n  - a@x.test\n  title: Long title that\n    goes on\n  note: \"tab\\tand \\\n    \\ more\"\n- 'x y'\n";
        let found = texts(text);
        for value in ["Hi,\n\nit's me: pay now\nBob", "a@x.test", "Long title that goes on", "tab\tand  more", "x y"] {
            assert!(found.iter().any(|field| field == value), "{value:?}: {found:?}");
        }
    }

    #[test]
    fn reads_tables_lists_and_labels() {
        assert!(texts("name,mail\nAnn,a@x.test\nBob,b@x.test").contains(&"b@x.test".to_owned()));
        assert!(texts("| name | mail |\n|---|---|\n| Ann | a@x.test |").contains(&"a@x.test".to_owned()));
        assert!(texts("Inns in Rome: Alba\nBella Vista\nDa Enzo").contains(&"Bella Vista".to_owned()));
        assert!(texts("Total: 9\nAccount Number: UK123\n\nThanks for all.").contains(&"UK123".to_owned()));
        assert!(texts("Line: A 1, Number: B 2, Price: 3").contains(&"B 2".to_owned()));
    }

    #[test]
    fn leaves_running_text_alone() {
        let text = "Dear all,\nplease pay the sum to UK123, my account, this week.\nMail: ann@x.test, this one is old.";
        let found = texts(text);
        assert!(!found.iter().any(|field| field == "UK123" || field == "ann@x.test"), "{found:?}");
    }
}
