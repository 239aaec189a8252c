//! Which members of an entry the mapping tables name, and where they stand in one entry.
//!
//! An entry has some 250 values. Every schema asks for a hundred of them by path, so their places are found in one pass
//! when the entry is opened, and an answer is one look into a list.

use std::sync::LazyLock;

use super::expression::Expression;
use super::table;
use crate::model::json::View;

/// A member of the predicate that some table names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member(u16);

impl Member {
    /// Its place in the list of [`Members::places`].
    pub(crate) const fn number(self) -> usize {
        self.0 as usize
    }
}

/// All members that tables name, as a tree of names.
pub(crate) struct Members {
    paths: Vec<String>,
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    member: Option<u16>,
    /// By name, sorted.
    children: Vec<(String, usize)>,
}

/// The members that are asked for in code, besides those of the tables.
const IN_CODE: [&str; 25] = [
    "action.operation",
    "action.tool",
    "approval.status",
    "approval.request_id",
    "context.level.value",
    "control.event",
    "decision.classification",
    "decision.enforced",
    "decision.policy.policy_id",
    "decision.reason",
    "decision.result",
    "decision.severity",
    "deferral.result",
    "drift.severity",
    "drift.trigger",
    "identity.agent.id.value",
    "identity.human.value",
    "identity.owner",
    "identity.service.value",
    "identity.team",
    "identity.tenant",
    "kind",
    "outcome.completed",
    "session.id",
    "time.wall",
];

impl Members {
    /// Those of all tables of this program.
    pub(crate) fn all() -> &'static Self {
        static ALL: LazyLock<Members> = LazyLock::new(|| {
            let mut members = Members { paths: Vec::new(), nodes: vec![Node::default()] };
            for path in IN_CODE {
                members.add(path);
            }
            for table in table::TABLES {
                for line in table::lines(table.text) {
                    Expression::paths(line.expression).for_each(|path| members.add(path));
                }
            }
            members
        });
        &ALL
    }

    /// The member at a dotted path, if a table names it.
    pub(crate) fn find(&self, path: &str) -> Option<Member> {
        let node = path.split('.').try_fold(0, |at, name| {
            let children = &self.nodes.get(at)?.children;
            let found = children.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
            children.get(found).map(|(_, child)| *child)
        })?;
        self.nodes.get(node)?.member.map(Member)
    }

    /// Where each member stands in the entry that says `predicate`; 0 where it has none.
    pub(crate) fn places(&self, predicate: View<'_>) -> Box<[u32]> {
        let mut places = vec![0; self.paths.len()].into_boxed_slice();
        self.place(0, predicate, &mut places);
        places
    }

    fn place(&self, at: usize, view: View<'_>, places: &mut [u32]) {
        let Some(node) = self.nodes.get(at) else { return };
        if let Some(place) = node.member.and_then(|member| places.get_mut(usize::from(member))) {
            *place = u32::try_from(view.place()).unwrap_or(0);
        }
        if node.children.is_empty() {
            return;
        }
        for (name, value) in view.members() {
            if let Ok(found) = node.children.binary_search_by(|(other, _)| other.as_str().cmp(&name))
                && let Some((_, child)) = node.children.get(found)
            {
                self.place(*child, value, places);
            }
        }
    }

    fn add(&mut self, path: &str) {
        let mut at = 0;
        for name in path.split('.') {
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            match node.children.binary_search_by(|(other, _)| other.as_str().cmp(name)) {
                Ok(found) => at = node.children.get(found).map_or(0, |(_, child)| *child),
                Err(place) => {
                    node.children.insert(place, (name.to_owned(), next));
                    self.nodes.push(Node::default());
                    at = next;
                }
            }
        }
        let number = u16::try_from(self.paths.len()).ok();
        if let Some(node) = self.nodes.get_mut(at)
            && node.member.is_none()
        {
            node.member = number;
            self.paths.push(path.to_owned());
        }
    }

    #[cfg(test)]
    pub(crate) fn paths(&self) -> &[String] {
        &self.paths
    }
}
