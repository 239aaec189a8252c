//! Functions of mapping tables: one value in, one value out. What does not fit gives null, never a guess.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::value::Value;
use crate::model::json::{Kind, Limits, View, scan, write_string};
use crate::model::{DataLevel, Timestamp};

/// A function of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// Earlier actions as one text, in a list: `a.b → c.d(confidential)`.
    Chain,
    /// A list of objects, of some members of the objects of a list: `each uid=action_id name=tool`.
    Each(Vec<(String, String)>),
    /// The first of a list.
    First,
    /// Millionths as a fraction.
    Fraction,
    /// A digest without the name of its algorithm.
    Hexadecimal,
    /// A name of a host; an address is null.
    Hostname,
    /// The members of JSON in a text, as a list of name and value.
    Inputs,
    /// An address of IP version 4; anything else is null.
    Ipv4,
    /// An address of IP version 6; anything else is null.
    Ipv6,
    /// The elements of a list as one text, with commas.
    Joined,
    /// A list of this value alone.
    List,
    /// A time as milliseconds since 1970.
    Millis,
    /// Microseconds as milliseconds.
    Milliseconds,
    /// Earlier actions as a list of `tool.operation`.
    Names,
    /// A time as nanoseconds since 1970, in a text, because such numbers do not fit everywhere.
    Nanos,
    /// Microseconds as nanoseconds.
    Nanoseconds,
    /// JSON in a text as that JSON; any other text as it is.
    Parsed,
    /// Millionths as a whole number of hundredths.
    Percent,
    /// Everything but lists and objects, as a text.
    Text,
    /// A time with milliseconds, in RFC 3339.
    Time,
    /// As [`Self::Chain`], without the list.
    Trail,
}

impl Function {
    /// The function that a source begins with, and what it is applied to.
    pub(super) fn parse(source: &str) -> (Option<Self>, &str) {
        let Some((name, rest)) = source.trim().split_once(' ') else { return (None, source.trim()) };
        let function = match name {
            "chain" => Self::Chain,
            "each" => return Self::each(rest),
            "first" => Self::First,
            "fraction" => Self::Fraction,
            "hexadecimal" => Self::Hexadecimal,
            "hostname" => Self::Hostname,
            "inputs" => Self::Inputs,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "joined" => Self::Joined,
            "list" => Self::List,
            "millis" => Self::Millis,
            "milliseconds" => Self::Milliseconds,
            "names" => Self::Names,
            "nanos" => Self::Nanos,
            "nanoseconds" => Self::Nanoseconds,
            "parsed" => Self::Parsed,
            "percent" => Self::Percent,
            "text" => Self::Text,
            "time" => Self::Time,
            "trail" => Self::Trail,
            _ => return (None, source.trim()),
        };
        (Some(function), rest.trim())
    }

    /// `each uid=action_id name=tool context.prior_actions`
    fn each(rest: &str) -> (Option<Self>, &str) {
        let Some((members, source)) = rest.trim().rsplit_once(' ') else { return (None, rest) };
        let pairs = members.split(' ').filter_map(|member| member.split_once('='));
        (Some(Self::Each(pairs.map(|(to, from)| (to.into(), from.into())).collect())), source)
    }

    /// The function of a value of the entry.
    pub(super) fn of_view<'a>(&self, view: View<'a>) -> Value<'a> {
        match self {
            Self::Chain => match chain(view) {
                Some(chain) => Value::Made(format!("[{}]", quoted(&chain))),
                None => Value::Json("[]"),
            },
            Self::Each(members) => list(view.children().map(|element| {
                let given = members.iter().filter_map(|(to, from)| Some((to.as_str(), element.get(from)?)));
                object(given.filter(|(_, value)| value.kind() != Kind::Null))
            })),
            Self::First => view.children().next().map_or(Value::Null, |first| Value::Json(first.text())),
            Self::Joined => {
                let texts: Vec<Cow<'_, str>> = view.children().filter_map(|element| element.as_str()).collect();
                if texts.is_empty() { Value::Null } else { Value::Text(Cow::Owned(texts.join(","))) }
            }
            Self::Trail => chain(view).map_or(Value::Null, |chain| Value::Text(chain.into())),
            Self::Names => list(view.children().map(|action| quoted(&name(action)))),
            _ => self.of(Value::Json(view.text())),
        }
    }

    /// The function of any value.
    pub(super) fn of<'a>(&self, value: Value<'a>) -> Value<'a> {
        if matches!(value, Value::Null) {
            return Value::Null;
        }
        let number = || value.to_text().parse::<i64>().ok();
        let time = || Timestamp::parse(&value.to_text());
        match self {
            Self::Chain | Self::Each(_) | Self::First | Self::Joined | Self::Names | Self::Trail => Value::Null,
            Self::Fraction => number().map_or(Value::Null, fraction),
            Self::Hexadecimal => match value.to_text().split_once(':') {
                Some((_, digits)) => Value::Text(Cow::Owned(digits.to_owned())),
                None => value,
            },
            Self::Hostname => kept(value, |text| text.parse::<IpAddr>().is_err()),
            Self::Ipv4 => kept(value, |text| text.parse::<Ipv4Addr>().is_ok()),
            Self::Ipv6 => kept(value, |text| text.parse::<Ipv6Addr>().is_ok()),
            Self::Inputs => inputs(&value.to_text()),
            Self::List => {
                let mut json = String::from("[");
                value.write_json(&mut json);
                json.push(']');
                Value::Made(json)
            }
            Self::Millis => time().map_or(Value::Null, |time| integer(time.as_millis())),
            Self::Milliseconds => number().map_or(Value::Null, |us| Value::Integer(us / 1_000)),
            Self::Nanos => time().map_or(Value::Null, |time| Value::Text(format!("{}000", time.as_micros()).into())),
            Self::Nanoseconds => number().map_or(Value::Null, |us| Value::Integer(us.saturating_mul(1_000))),
            Self::Parsed => {
                let text = value.to_text();
                let is_json = scan(text.as_bytes(), Limits::default()).is_ok();
                if is_json { Value::Made(text.into_owned()) } else { value }
            }
            Self::Percent => number().map_or(Value::Null, |ppm| Value::Integer(ppm / 10_000)),
            Self::Text => match value {
                Value::Json(json) if !json.starts_with(['"', '[', '{']) => Value::Text(Cow::Borrowed(json)),
                Value::Integer(_) | Value::Fraction(_) => Value::Text(Cow::Owned(value.to_text().into_owned())),
                value => value,
            },
            Self::Time => time().map_or(Value::Null, |time| Value::Text(time.to_rfc3339_millis().into())),
        }
    }
}

fn kept<'a>(value: Value<'a>, wanted: impl Fn(&str) -> bool) -> Value<'a> {
    if wanted(&value.to_text()) { value } else { Value::Null }
}

fn integer(number: u64) -> Value<'static> {
    i64::try_from(number).map_or(Value::Null, Value::Integer)
}

/// Whole millionths below 2^53 divide exactly enough to be written as people write them.
fn fraction(ppm: i64) -> Value<'static> {
    i32::try_from(ppm).map_or(Value::Null, |ppm| Value::Fraction(f64::from(ppm) / 1e6))
}

fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    write_string(&mut json, text);
    json
}

/// `tool.operation` of an earlier action.
fn name(action: View<'_>) -> String {
    let part = |name| action.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    format!("{}.{}", part("tool"), part("operation"))
}

/// Confidential steps and above say so, in parentheses.
fn chain(actions: View<'_>) -> Option<String> {
    let steps = actions.children().map(|action| {
        let level = action.get("level").and_then(|level| level.as_str()).unwrap_or_default();
        let sensitive = [DataLevel::Confidential, DataLevel::Restricted].iter().any(|one| one.as_str() == level);
        if sensitive { format!("{}({})", name(action), level.to_ascii_lowercase()) } else { name(action) }
    });
    let steps: Vec<String> = steps.collect();
    (!steps.is_empty()).then(|| steps.join(" → "))
}

fn list<'a>(elements: impl Iterator<Item = String>) -> Value<'a> {
    let mut json = String::from("[");
    for element in elements.filter(|element| element != "{}") {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&element);
    }
    json.push(']');
    Value::Made(json)
}

fn object<'a>(members: impl Iterator<Item = (&'a str, View<'a>)>) -> String {
    let mut json = String::from("{");
    for (name, value) in members {
        if json.len() > 1 {
            json.push(',');
        }
        write_string(&mut json, name);
        json.push(':');
        json.push_str(value.text());
    }
    json.push('}');
    json
}

fn inputs(text: &str) -> Value<'static> {
    let Ok((text, document)) = scan(text.as_bytes(), Limits::default()) else { return Value::Null };
    let root = document.root(text);
    if root.kind() != Kind::Object {
        return Value::Null;
    }
    list(root.members().map(|(name, value)| format!("{{\"name\":{},\"value\":{}}}", quoted(&name), value.text())))
}
