//! Names of servers, tools, operations and methods in rules: exact, or with `*` and `?`.

/// A pattern over a whole name: `*` stands for any run of characters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    text: Box<str>,
}

impl Glob {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.into() }
    }

    /// Whether a text is a pattern and not a name.
    pub(super) fn is_pattern(text: &str) -> bool {
        text.contains(['*', '?'])
    }

    /// The pattern as it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// What every match begins with.
    pub(super) fn literal_prefix(&self) -> &str {
        self.text.split(['*', '?']).next().unwrap_or_default()
    }

    /// Linear in `name` for each `*`, never exponential: only the last `*` is ever tried again.
    pub(super) fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut rest) = (self.text.chars(), name.chars());
        let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
        loop {
            let before = pattern.clone();
            match (pattern.next(), rest.clone().next()) {
                (None, None) => return true,
                (Some('*'), _) => retry = Some((pattern.clone(), rest.clone())),
                (Some('?'), Some(_)) => {
                    rest.next();
                }
                (Some(wanted), Some(found)) if wanted == found => {
                    rest.next();
                }
                _ => {
                    let Some((after_star, from)) = retry.as_mut() else { return false };
                    if from.next().is_none() {
                        // The star has eaten everything; only a pattern that is used up could still match.
                        return before.clone().next().is_none() && rest.next().is_none();
                    }
                    pattern = after_star.clone();
                    rest = from.clone();
                }
            }
        }
    }
}

/// What a rule says about one name. Lists mean any of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) exact: Vec<Box<str>>,
    pub(super) globs: Vec<Glob>,
    /// Whether the rule says anything at all.
    pub(super) given: bool,
}

impl Names {
    pub(super) fn add(&mut self, text: &str) {
        self.given = true;
        if Glob::is_pattern(text) {
            self.globs.push(Glob::new(text));
        } else {
            self.exact.push(text.into());
        }
    }

    /// Whether any of `names` is meant. A rule that says nothing means every name.
    pub(super) fn matches(&self, names: &[&str]) -> bool {
        !self.given
            || names.iter().any(|name| {
                self.exact.iter().any(|exact| &**exact == *name) || self.globs.iter().any(|glob| glob.matches(name))
            })
    }
}

/// The names one action goes by (design §14.1): a rule may use the mapped or the native ones.
#[derive(Debug)]
pub(super) struct ActionNames<'a> {
    pub(super) server: &'a str,
    pub(super) method: &'a str,
    operations: [&'a str; 2],
    dotted: [String; 2],
    action: &'a crate::model::Action,
}

/// What a tool or operation does, in one word (resolution G-16): names with `*` and `?` over the operation and over
/// `tool.operation`. The operator's own, in the settings, stand before these.
pub(super) const CATEGORIES: &[(&str, &[&str])] = &[
    (
        "credentials",
        &[
            "*credential*",
            "*secret*",
            "*token*",
            "*password*",
            "*apikey*",
            "*api_key*",
            "*.grant*",
            "*.rotate*",
            "grant_*",
            "grantRole",
            "revoke_*",
        ],
    ),
    (
        "destructive",
        &[
            "delete*",
            "*_delete",
            "*_delete_*",
            "*.delete*",
            "drop*",
            "*.drop*",
            "truncate*",
            "*.truncate*",
            "purge*",
            "*.purge*",
            "erase*",
            "wipe*",
            "destroy*",
            "*.destroy*",
            "remove*",
            "*.remove*",
        ],
    ),
    ("execution", &["exec*", "*.exec*", "*_exec", "*shell*", "run_*", "*.run", "*eval*", "*command*", "*script*"]),
    (
        "external_communication",
        &[
            "send*",
            "*_send",
            "*_send_*",
            "*.send*",
            "post*",
            "*.post*",
            "publish*",
            "*.publish*",
            "forward*",
            "*.forward*",
            "share*",
            "*.share*",
            "reply*",
            "*.reply*",
            "invite*",
            "*.invite*",
            "upload*",
            "*.upload*",
            "notify*",
            "tweet*",
        ],
    ),
    (
        "financial",
        &[
            "pay*",
            "*.pay*",
            "*payment*",
            "transfer*",
            "*.transfer*",
            "refund*",
            "*.refund*",
            "purchase*",
            "*.purchase*",
            "wire*",
            "withdraw*",
        ],
    ),
    (
        "read",
        &[
            "read*",
            "*.read*",
            "get*",
            "*.get*",
            "list*",
            "*.list*",
            "search*",
            "*.search*",
            "find*",
            "*.find*",
            "count*",
            "describe*",
            "view*",
            "show*",
            "fetch*",
            "query*",
            "*.query*",
        ],
    ),
];

impl<'a> ActionNames<'a> {
    pub(super) fn of(action: &'a crate::model::Action) -> Self {
        let native = &action.native;
        let mapped = format!("{}.{}", action.tool, action.operation);
        let same = action.tool == native.server && action.operation == native.operation;
        let dotted = if same { String::new() } else { format!("{}.{}", native.server, native.operation) };
        Self {
            server: &native.server,
            method: &action.method,
            operations: [&action.operation, &native.operation],
            dotted: [mapped, dotted],
            action,
        }
    }

    /// Everything `tool:` may name: the tool, the server it came from, the native tool name, the wrapper it came in,
    /// and `tool.operation` of both.
    pub(super) fn tools(&self) -> Vec<&str> {
        let native = &self.action.native;
        let mut names: Vec<&str> = Vec::with_capacity(6);
        let all = [&*self.action.tool, &native.server, &native.operation, &self.dotted[0], &self.dotted[1]];
        for name in all.into_iter().chain(native.wrapper.as_ref().map(|wrapper| &*wrapper.name)) {
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Everything a category looks at.
    pub(super) fn deeds(&self) -> Vec<&str> {
        let dotted = self.dotted.iter().map(String::as_str).filter(|name| !name.is_empty());
        self.operations().iter().copied().chain(dotted).collect()
    }

    /// Everything `operation:` may name.
    pub(super) fn operations(&self) -> &[&'a str] {
        let [mapped, native] = &self.operations;
        if mapped == native { self.operations.get(..1).unwrap_or_default() } else { &self.operations }
    }
}

/// Where a rule applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) server: Names,
    pub(super) tool: Names,
    pub(super) operation: Names,
    pub(super) method: Names,
    /// Patterns of categories.
    pub(super) category: Names,
}

impl Scope {
    pub(super) fn matches(&self, names: &ActionNames<'_>, tools: &[&str]) -> bool {
        self.server.matches(&[names.server])
            && self.tool.matches(tools)
            && self.operation.matches(names.operations())
            && self.method.matches(&[names.method])
            && (!self.category.given || self.category.matches(&names.deeds()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_names() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("*", "", true),
            ("*", "anything", true),
            ("delete_*", "delete_rows", true),
            ("delete_*", "undelete_rows", false),
            ("*_rows", "delete_rows", true),
            ("*_rows", "delete_rows_all", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("?ead", "read", true),
            ("?ead", "ead", false),
            ("é*", "école", true),
            ("**", "x", true),
            ("*a", "aaaa", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_stays_quick() {
        let pattern = Glob::new(&"*a".repeat(50));
        assert!(!pattern.matches(&"a".repeat(49)));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(20_000))));
    }
}
