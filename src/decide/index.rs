//! Which rules can be about an action at all.
//!
//! A rule is filed under the most exact names it gives: server, then tool, then operation. Names with `*` are filed
//! under what they begin with. An action then looks up its own few names, so that ten thousand rules about other tools
//! cost it nothing. What is found is a superset of the rules that apply; each is still checked in full.

use std::collections::{BTreeSet, HashMap};

use super::names::{ActionNames, Names, Scope};

/// Above this many pairs of tool and operation a rule is filed under its tools only.
const PAIRS_MAX: usize = 1_024;

/// Rule numbers by the names of actions.
#[derive(Debug, Default)]
pub(super) struct Index {
    servers: HashMap<Box<str>, Layer>,
    anywhere: Layer,
}

/// The rules of one server, or those that name no single one.
#[derive(Debug, Default)]
struct Layer {
    tools: HashMap<Box<str>, Tool>,
    tool_patterns: Prefixes,
    operations: HashMap<Box<str>, Vec<u32>>,
    operation_patterns: Prefixes,
    rest: Vec<u32>,
}

/// The rules that name one tool exactly.
#[derive(Debug, Default)]
struct Tool {
    operations: HashMap<Box<str>, Vec<u32>>,
    rest: Vec<u32>,
}

/// Rules by what their pattern begins with.
#[derive(Debug, Default)]
struct Prefixes {
    lengths: BTreeSet<usize>,
    rules: HashMap<Box<str>, Vec<u32>>,
}

impl Prefixes {
    fn insert(&mut self, names: &Names, rule: u32) {
        let exact = names.exact.iter().map(|name| &**name);
        for prefix in exact.chain(names.globs.iter().map(super::names::Glob::literal_prefix)) {
            self.lengths.insert(prefix.len());
            self.rules.entry(prefix.into()).or_default().push(rule);
        }
    }

    fn find(&self, name: &str, found: &mut Vec<u32>) {
        let prefixes = self.lengths.iter().filter_map(|length| name.get(..*length));
        found.extend(prefixes.filter_map(|prefix| self.rules.get(prefix)).flatten());
    }
}

const fn is_exact(names: &Names) -> bool {
    names.given && names.globs.is_empty()
}

impl Layer {
    fn insert(&mut self, scope: &Scope, rule: u32) {
        let Scope { tool, operation, .. } = scope;
        if is_exact(tool) {
            let pairs = is_exact(operation) && tool.exact.len() * operation.exact.len() <= PAIRS_MAX;
            for name in &tool.exact {
                let tool = self.tools.entry(name.clone()).or_default();
                if pairs {
                    for operation in &operation.exact {
                        tool.operations.entry(operation.clone()).or_default().push(rule);
                    }
                } else {
                    tool.rest.push(rule);
                }
            }
        } else if is_exact(operation) {
            for operation in &operation.exact {
                self.operations.entry(operation.clone()).or_default().push(rule);
            }
        } else if tool.given {
            self.tool_patterns.insert(tool, rule);
        } else if operation.given {
            self.operation_patterns.insert(operation, rule);
        } else {
            self.rest.push(rule);
        }
    }

    fn find(&self, tools: &[&str], operations: &[&str], found: &mut Vec<u32>) {
        for name in tools {
            if let Some(tool) = self.tools.get(*name) {
                found.extend(&tool.rest);
                found.extend(operations.iter().filter_map(|operation| tool.operations.get(*operation)).flatten());
            }
            self.tool_patterns.find(name, found);
        }
        for operation in operations {
            found.extend(self.operations.get(*operation).into_iter().flatten());
            self.operation_patterns.find(operation, found);
        }
        found.extend(&self.rest);
    }
}

impl Index {
    pub(super) fn insert(&mut self, scope: &Scope, rule: u32) {
        if is_exact(&scope.server) {
            for server in &scope.server.exact {
                self.servers.entry(server.clone()).or_default().insert(scope, rule);
            }
        } else {
            self.anywhere.insert(scope, rule);
        }
    }

    /// The numbers of every rule that can be about this action, ascending, each once.
    pub(super) fn find(&self, names: &ActionNames<'_>, tools: &[&str]) -> Vec<u32> {
        let mut found = Vec::with_capacity(16);
        if let Some(layer) = self.servers.get(names.server) {
            layer.find(tools, names.operations(), &mut found);
        }
        self.anywhere.find(tools, names.operations(), &mut found);
        found.sort_unstable();
        found.dedup();
        found
    }
}
