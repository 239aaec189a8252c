//! What an expression may say: checked once, at load, on its syntax tree.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators};
use cel::parser::Parser;

use super::Wrong;
use crate::decide::field::{self, Field, Kind, Sinks};
use crate::decide::path::Path;
use crate::decide::schema::{Phase, advise};

/// Longest expression, bytes.
const BYTES_MAX: usize = 2_048;
/// Most nodes of its tree, those that macros unfold to included.
const NODES_MAX: u64 = 512;
/// Macros inside each other.
const NESTING_MAX: usize = 2;
/// Brackets inside each other: the parser takes some 200 KiB of stack for each, without optimisation.
const BRACKETS_MAX: usize = 16;
/// Deepest tree. Evaluation goes down it on the stack of whoever decides.
const DEPTH_MAX: usize = 32;
/// Stack for reading, bytes: for the longest chain of operators and the most brackets that fit, twice over.
const STACK_BYTES: usize = 64 << 20;

/// Names that are a text each.
const NAMES: [&str; 4] = ["tool", "server", "operation", "method"];
const PARAMETERS: [&str; 2] = ["arguments", "parameters"];
/// Roots whose members are fields, under the names that rules have for them.
const ROOTS: [&str; 8] = ["context", "facts", "identity", "provenance", "result", "risk_signals", "session", "signals"];

/// Functions beside operators. Each takes no longer than its operands are long.
const FUNCTIONS: &[&str] = &["contains", "double", "endsWith", "int", "size", "startsWith", "string", "uint"];
const OPERATORS: &[&str] = &[
    operators::ADD,
    operators::CONDITIONAL,
    operators::DIVIDE,
    operators::EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
    operators::IN,
    operators::INDEX,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::LOGICAL_AND,
    operators::LOGICAL_NOT,
    operators::LOGICAL_OR,
    operators::MODULO,
    operators::MULTIPLY,
    operators::NEGATE,
    operators::NOT_EQUALS,
    operators::NOT_STRICTLY_FALSE,
    operators::SUBSTRACT,
];

/// Everything that an expression looks at.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// Of [`NAMES`].
    pub(super) names: Vec<&'static str>,
    /// `Some(None)`: all parameters; `Some(Some(names))`: these.
    pub(super) parameters: Option<Option<Vec<Box<str>>>>,
    /// Where the value of each of `fields` belongs; as long as that.
    pub(super) places: Vec<Member>,
    /// With how the author calls them.
    pub(super) fields: Vec<(Box<str>, Field)>,
}

/// A member of one of [`ROOTS`].
#[derive(Debug)]
pub(super) struct Member {
    pub(super) root: &'static str,
    pub(super) name: Box<str>,
    /// Whether it is a list, however many values it has.
    pub(super) many: bool,
}

/// How much work an evaluation is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// Nodes inside no macro, inside one, and so on.
    pub(super) nodes: [u64; NESTING_MAX + 1],
    /// Elements of the longest list in the text.
    pub(super) longest_list: u64,
}

/// Reads and checks an expression, on a stack that the parser cannot fill.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(text: &str, phase: Phase) -> Result<(IdedExpr, Uses, Cost), Vec<Wrong>> {
    let alone = |what: &str, advice: String| vec![Wrong { what: what.into(), advice }];
    if text.len() > BYTES_MAX {
        return Err(alone("`when` is too long", format!("at most {BYTES_MAX} bytes; write several rules")));
    }
    let mut open: usize = 0;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > BRACKETS_MAX {
            return Err(alone("`when` has too many brackets inside each other", format!("at most {BRACKETS_MAX}")));
        }
    }
    let text = text.to_owned();
    let reading = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let expression = parse(&text)?;
        let (uses, cost) = check(&expression, phase)?;
        Ok((expression, uses, cost))
    });
    let broke_off = || alone("`when` could not be read", "write it in a simpler way".into());
    reading.map_err(|_| broke_off())?.join().unwrap_or_else(|_| Err(broke_off()))
}

fn parse(text: &str) -> Result<IdedExpr, Vec<Wrong>> {
    Parser::new().parse(text).map_err(|errors| {
        let wrong = errors.errors.iter().map(|error| {
            let message: String = error.msg.split_whitespace().collect::<Vec<_>>().join(" ");
            let (line, column) = error.pos;
            let what = format!("`when` is no CEL expression: {message} (line {line}, column {column} of it)");
            Wrong { what, advice: "correct the expression; quote texts with '".into() }
        });
        wrong.take(1).collect()
    })
}

fn check(expression: &IdedExpr, phase: Phase) -> Result<(Uses, Cost), Vec<Wrong>> {
    let mut walk =
        Walk { phase, uses: Uses::default(), cost: Cost::default(), locals: Vec::new(), depth: 0, wrong: Vec::new() };
    walk.node(expression);
    if walk.depth > 0 {
        walk.wrong(
            "`when` is nested too deeply".into(),
            format!("at most {DEPTH_MAX} operators of one chain; write several rules"),
        );
    }
    if walk.cost.nodes.iter().sum::<u64>() > NODES_MAX {
        walk.wrong("`when` has too many parts".into(), format!("at most {NODES_MAX}; write several rules"));
    }
    if walk.wrong.is_empty() { Ok((walk.uses, walk.cost)) } else { Err(walk.wrong) }
}

struct Walk<'e> {
    phase: Phase,
    uses: Uses,
    cost: Cost,
    /// Variables of the macros around.
    locals: Vec<&'e str>,
    /// How deep the node stands; stays where it passed [`DEPTH_MAX`].
    depth: usize,
    wrong: Vec<Wrong>,
}

/// Variables that a macro makes two of: its own and that of what it gathers.
const LOCALS_OF_A_MACRO: usize = 2;

impl<'e> Walk<'e> {
    fn wrong(&mut self, what: String, advice: String) {
        self.wrong.push(Wrong { what, advice });
    }

    fn node(&mut self, node: &'e IdedExpr) {
        let nesting = self.locals.len() / LOCALS_OF_A_MACRO;
        if let Some(nodes) = self.cost.nodes.get_mut(nesting) {
            *nodes += 1;
        }
        if self.depth > DEPTH_MAX {
            return;
        }
        self.depth += 1;
        self.kind(node);
        if self.depth <= DEPTH_MAX {
            self.depth -= 1;
        }
    }

    fn kind(&mut self, node: &'e IdedExpr) {
        match &node.expr {
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(inner) if gathers(inner) => self.wrong(
                "`filter` and `map` give a list, and nothing here takes one".into(),
                "write `size(LIST.filter(x, ...))`, `exists` or `all`; there is no `map`".into(),
            ),
            Expr::Comprehension(inner) => self.comprehension(inner),
            Expr::Ident(name) => self.variable(name),
            Expr::List(list) => {
                self.cost.longest_list = self.cost.longest_list.max(list.elements.len() as u64);
                list.elements.iter().for_each(|element| self.node(element));
            }
            Expr::Literal(_) => {}
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                self.wrong("`when` cannot make objects".into(), "compare the members one by one".into());
            }
            Expr::Select(select) => {
                if select.test && !self.is_of_parameters(&select.operand) {
                    self.wrong(
                        format!("`has(... .{})` is about something else than parameters", select.field),
                        "leave it out: what nobody knows makes the whole condition unknown".into(),
                    );
                }
                self.member(&select.operand, &select.field);
            }
        }
    }

    fn call(&mut self, call: &'e CallExpr) {
        let name = call.func_name.as_str();
        if !OPERATORS.contains(&name) && !FUNCTIONS.contains(&name) {
            let advice = match name {
                "matches" => "write the pattern into `match`: `parameters: {NAME: {matches: PATTERN}}`".into(),
                _ => advise(name, FUNCTIONS),
            };
            self.wrong(format!("`when` has no function `{name}`"), advice);
        }
        if let (operators::INDEX, [of, index]) = (name, call.args.as_slice())
            && let Expr::Literal(LiteralValue::String(field)) = &index.expr
        {
            return self.member(of, field.inner());
        }
        // A count of what a filter leaves needs no order.
        let operands = call.target.as_deref().into_iter().chain(&call.args);
        for operand in operands {
            match &operand.expr {
                Expr::Comprehension(inner) if name == "size" && is_filter(inner) => self.comprehension(inner),
                _ => self.node(operand),
            }
        }
    }

    /// `OF.NAME`, or `OF["NAME"]`.
    fn member(&mut self, of: &'e IdedExpr, name: &str) {
        match &of.expr {
            Expr::Ident(root) if self.locals.contains(&root.as_str()) => {}
            Expr::Ident(root) if PARAMETERS.contains(&root.as_str()) => {
                if let Some(names) = self.uses.parameters.get_or_insert_with(|| Some(Vec::new()))
                    && !names.iter().any(|known| **known == *name)
                {
                    names.push(name.into());
                }
            }
            Expr::Ident(root) => match ROOTS.iter().find(|known| **known == *root) {
                Some(root) => self.field(root, name),
                None => self.variable(root),
            },
            _ => self.node(of),
        }
    }

    fn variable(&mut self, name: &str) {
        if self.locals.contains(&name) {
            return;
        }
        if let Some(name) = NAMES.into_iter().find(|known| *known == name) {
            if !self.uses.names.contains(&name) {
                self.uses.names.push(name);
            }
        } else if PARAMETERS.contains(&name) {
            self.uses.parameters = Some(None);
        } else if ROOTS.contains(&name) {
            self.wrong(format!("`{name}` is no value by itself"), format!("name a field of it: `{name}.FIELD`"));
        } else {
            let known: Vec<&str> = NAMES.into_iter().chain(PARAMETERS).chain(ROOTS).collect();
            self.wrong(format!("`when` has no variable `{name}`"), advise(name, &known));
        }
    }

    fn field(&mut self, root: &'static str, name: &str) {
        let label = format!("{root}.{name}").into_boxed_str();
        if self.uses.fields.iter().any(|(known, _)| *known == label) {
            return;
        }
        let found: Result<(Field, Kind), Vec<&'static str>> = match root {
            "context" | "session" => named(field::CONTEXT, name, Field::Context),
            "identity" => named(field::IDENTITY, name, Field::Identity),
            "risk_signals" | "signals" => named(field::SIGNALS, name, Field::Signal),
            "result" if self.phase == Phase::Result => named(field::RESULTS, name, Field::Result),
            "result" => {
                let advice = "write `phase: result`: before an action runs there is no result".into();
                return self.wrong(format!("`{label}` cannot be known here"), advice);
            }
            "facts" => Ok((Field::Fact(name.into()), Kind::Any)),
            _ => match Path::parse(if name.is_empty() { "?" } else { name }) {
                Ok(path) => Ok((Field::Provenance(path, Sinks::All), Kind::List)),
                Err(what) => return self.wrong(what, "name a parameter, or a JSON pointer".into()),
            },
        };
        match found {
            Ok((field, kind)) => {
                // The texts of a result are many, and go by one name.
                let many = matches!(kind, Kind::Classification | Kind::List) || root == "result" && kind == Kind::Text;
                self.uses.places.push(Member { root, name: name.into(), many });
                self.uses.fields.push((label, field));
            }
            Err(known) => self.wrong(format!("`{root}` has no field `{name}`"), advise(name, &known)),
        }
    }

    /// A macro: `all`, `exists`, `exists_one`, and `filter` where its list is only counted or gone over.
    fn comprehension(&mut self, inner: &'e ComprehensionExpr) {
        match &inner.iter_range.expr {
            Expr::Comprehension(range) if is_filter(range) => self.comprehension(range),
            Expr::List(list) if list.elements.iter().all(|element| matches!(element.expr, Expr::Literal(_))) => {
                self.node(&inner.iter_range);
            }
            _ if is_place(&inner.iter_range) => self.node(&inner.iter_range),
            _ => self.wrong(
                "a macro goes over something that is no field".into(),
                "go over a field, a list of constants, or what `filter` leaves of them".into(),
            ),
        }
        if self.locals.len() / LOCALS_OF_A_MACRO >= NESTING_MAX {
            let advice = format!("at most {NESTING_MAX} inside each other");
            return self.wrong("macros stand too deep in each other".into(), advice);
        }
        self.locals.extend([inner.iter_var.as_str(), inner.accu_var.as_str()]);
        if !gathers(inner) {
            self.node(&inner.accu_init);
        }
        self.node(&inner.loop_cond);
        self.node(&inner.loop_step);
        self.node(&inner.result);
        self.locals.truncate(self.locals.len().saturating_sub(LOCALS_OF_A_MACRO));
    }

    /// Whether a value is a parameter, or in one: `has` is for these, as what is not known is not absent.
    fn is_of_parameters(&self, node: &IdedExpr) -> bool {
        match &node.expr {
            Expr::Ident(name) => PARAMETERS.contains(&name.as_str()) || self.locals.contains(&name.as_str()),
            Expr::Select(select) => self.is_of_parameters(&select.operand),
            Expr::Call(call) if call.func_name == operators::INDEX => {
                call.args.first().is_some_and(|of| self.is_of_parameters(of))
            }
            _ => false,
        }
    }
}

fn named<F: Copy>(
    table: &'static [(&'static str, F, Kind)],
    name: &str,
    field: fn(F) -> Field,
) -> Result<(Field, Kind), Vec<&'static str>> {
    match field::lookup(table, name) {
        Some((found, kind)) => Ok((field(found), kind)),
        None => Err(field::names(table)),
    }
}

/// Whether a node is a variable, or something in one: no value of its own.
fn is_place(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Ident(_) => true,
        Expr::Select(select) => is_place(&select.operand),
        Expr::Call(call) if call.func_name == operators::INDEX => call.args.first().is_some_and(is_place),
        _ => false,
    }
}

/// Whether a macro makes a list: `map` and `filter`.
fn gathers(inner: &ComprehensionExpr) -> bool {
    matches!(inner.accu_init.expr, Expr::List(_))
}

/// Whether it is `filter`: what it makes holds elements of its range, as they are.
fn is_filter(inner: &ComprehensionExpr) -> bool {
    let Expr::Call(step) = &inner.loop_step.expr else { return false };
    let (operators::CONDITIONAL, [_, added, _]) = (step.func_name.as_str(), step.args.as_slice()) else { return false };
    let Expr::Call(added) = &added.expr else { return false };
    let Some(Expr::List(list)) = added.args.get(1).map(|list| &list.expr) else { return false };
    gathers(inner)
        && matches!(list.elements.as_slice(), [only] if matches!(&only.expr, Expr::Ident(name) if *name == inner.iter_var))
}
