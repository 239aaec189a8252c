//! What an operation does, by its name.

use super::grammar::{Class, Effects, class};
use super::shape::split_name;
use crate::model::{Effect, ToolHints};

/// The effect of an operation, and which requests ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) effect: Effect,
    /// An intent or a sentence that asks for one of these asks for the operation.
    pub(super) asked_by: Effects,
    /// It fills in a form on a page: what governs it is the link.
    pub(super) form: bool,
    /// Its name is about credentials.
    pub(super) secret: bool,
}

/// `hints`: the annotations of the server. Anybody can write them, so they only add: a tool that says it has an effect
/// has one, whatever its name; a tool that says it has none is taken by its name.
pub(super) fn of(method: &str, operation: &str, hints: Option<&ToolHints>) -> Operation {
    let mut words = Vec::new();
    let effect = match method {
        "tools/call" => None,
        "GET" | "HEAD" | "OPTIONS" => Some(Effect::Read),
        "DELETE" => Some(Effect::Delete),
        "PUT" | "PATCH" => Some(Effect::Update),
        "POST" => None,
        method if method.contains('/') => Some(Effect::Read),
        _ => None,
    };
    let name = operation.split_once(' ').filter(|(verb, _)| *verb == method).map_or(operation, |(_, path)| path);
    split_name(name, &mut words);
    let classes: Vec<Class> = words.iter().map(|word| class(word)).collect();
    let named = by_name(&words, &classes);
    let effect = match effect {
        Some(effect) => effect,
        None if method == "POST" && named.effect == Effect::Other => Effect::Create,
        None => named.effect,
    };
    let effect = match hints {
        Some(hints) if effect == Effect::Read && hints.declares_destructive() => Effect::Delete,
        Some(hints) if effect == Effect::Read && hints.declares_effect() => Effect::Update,
        _ => effect,
    };
    let asked_by = if effect == named.effect { named.asked_by } else { Effects::of(effect) };
    Operation { effect, asked_by, ..named }
}

fn by_name(words: &[String], classes: &[Class]) -> Operation {
    let is = |class: Class| move |word: &Class| word.has(class);
    let secret = classes.iter().any(is(Class::NAME_SECRET)) || asks_for_key(words);
    let (first, last) = (classes.first().copied().unwrap_or_default(), classes.last().copied().unwrap_or_default());
    let joins = words.iter().any(|word| word == "or" || word == "and");
    let reads = |effects: Effects| Operation { effect: Effect::Read, asked_by: effects, form: false, secret };
    if words.iter().any(|word| word == "human" || word == "humans") {
        return Operation { effect: Effect::Confirm, asked_by: Effects::default(), form: false, secret };
    }
    if classes.iter().any(is(Class::CONFIRM))
        && !classes.iter().any(|class| class.verb().meets(Effects::of(Effect::Delete)))
    {
        return Operation { effect: Effect::Confirm, asked_by: Effects::default(), form: false, secret };
    }
    if words.first().is_some_and(|word| word == "check")
        && words.get(1).is_some_and(|word| word == "out" || word == "in")
    {
        return shaped(Effects::of(Effect::Pay), classes, secret);
    }
    if first.has(Class::READ) && !joins {
        return reads(Effects::FETCH);
    }
    let form = classes.iter().any(is(Class::FORM))
        && classes.iter().any(|class| class.has(Class::WEB) || class.has(Class::FORM));
    if let Some(verb) = classes.iter().map(|class| class.verb()).find(|verb| verb.0 != 0 && *verb != Effects::FETCH) {
        return shaped(verb, classes, secret);
    }
    if form {
        return Operation { effect: Effect::Other, asked_by: Effects::default(), form: true, secret };
    }
    if classes.iter().any(is(Class::READ)) || last.has(Class::READ_NOUN) {
        return reads(Effects::FETCH);
    }
    if let Some(verb) = classes.iter().map(|class| class.noun_verb()).find(|verb| verb.0 != 0) {
        return shaped(verb, classes, secret);
    }
    Operation { effect: Effect::Other, asked_by: Effects::default(), form: false, secret }
}

/// `key` alone is the key of anything; of an interface or a machine it is a secret.
fn asks_for_key(words: &[String]) -> bool {
    let kinds = ["api", "access", "private", "public", "deploy", "signing", "encryption", "master"];
    words
        .windows(2)
        .any(|pair| matches!(pair, [kind, key] if kinds.contains(&kind.as_str()) && (key == "key" || key == "keys")))
}

/// The effect of a verb, as the other words of the name shape it.
fn shaped(verb: Effects, classes: &[Class], secret: bool) -> Operation {
    let any = |class: Class| classes.iter().any(|word| word.has(class));
    let of = Effects::of;
    let operation = |effect: Effect, asked_by: Effects| Operation { effect, asked_by, form: false, secret };
    let has = |effect: Effect| verb.meets(of(effect));
    let changes = has(Effect::Create) || has(Effect::Update) || has(Effect::Delete) || has(Effect::Credential);
    if secret && changes {
        return operation(Effect::Credential, of(Effect::Credential));
    }
    let people =
        any(Class::PERSON) && (has(Effect::Access) || (any(Class::ROLE) && (has(Effect::Pay) || has(Effect::Update))));
    if people && !has(Effect::Delete) {
        let occasion = if any(Class::EVENT) { of(Effect::Create) } else { Effects::default() };
        return operation(Effect::Access, of(Effect::Access).with(occasion));
    }
    if any(Class::MONEY)
        && (has(Effect::Communicate) || has(Effect::Create) || has(Effect::Update) || has(Effect::Pay))
        && !has(Effect::Delete)
    {
        return operation(Effect::Pay, of(Effect::Pay).with(verb_without_access(verb)));
    }
    if any(Class::SHOP) && !has(Effect::Delete) {
        return operation(if has(Effect::Pay) { Effect::Pay } else { Effect::Update }, of(Effect::Pay).with(verb));
    }
    let order = [
        Effect::Delete,
        Effect::Pay,
        Effect::Access,
        Effect::Communicate,
        Effect::Execute,
        Effect::Credential,
        Effect::Create,
        Effect::Update,
    ];
    let effect = order.into_iter().find(|effect| has(*effect)).unwrap_or(Effect::Other);
    // Making an appointment with somebody is also inviting him.
    let event = if any(Class::EVENT) && !has(Effect::Delete) { of(Effect::Access) } else { Effects::default() };
    operation(effect, verb.with(event))
}

fn verb_without_access(verb: Effects) -> Effects {
    Effects(verb.0 & !Effects::of(Effect::Access).0 & !Effects::of(Effect::Communicate).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_effects() {
        for (name, expected) in [
            ("read_email", Effect::Read),
            ("emailSearch", Effect::Read),
            ("order_history", Effect::Read),
            ("get_password_policy", Effect::Read),
            ("send_email", Effect::Communicate),
            ("slack.postMessage", Effect::Communicate),
            ("send_money", Effect::Pay),
            ("create_payment", Effect::Pay),
            ("checkout_cart", Effect::Pay),
            ("cart_add_item", Effect::Update),
            ("book_room", Effect::Create),
            ("create_event", Effect::Create),
            ("update_profile", Effect::Update),
            ("delete_rows", Effect::Delete),
            ("cancel_order", Effect::Delete),
            ("add_member_to_group", Effect::Access),
            ("transfer_project_ownership", Effect::Access),
            ("share_document", Effect::Access),
            ("change_password", Effect::Credential),
            ("create_api_key", Effect::Credential),
            ("run_command", Effect::Execute),
            ("verify_account", Effect::Confirm),
            ("fill_form", Effect::Other),
            ("frobnicate", Effect::Other),
        ] {
            assert_eq!(of("tools/call", name, None).effect, expected, "{name}");
        }
        assert_eq!(of("GET", "GET /orders/{id}", None).effect, Effect::Read);
        assert_eq!(of("POST", "POST /orders", None).effect, Effect::Create);
    }

    #[test]
    fn annotations_add_an_effect_and_take_none_away() {
        let says = |read_only, destructive| ToolHints { read_only, destructive, ..ToolHints::default() };
        let effect = |name: &str, hints: ToolHints| of("tools/call", name, Some(&hints)).effect;
        assert_eq!(effect("delete_rows", says(Some(true), Some(false))), Effect::Delete, "it says that it only reads");
        assert_eq!(effect("frobnicate", says(Some(true), None)), Effect::Other);
        assert_eq!(effect("get_rows", says(None, None)), Effect::Read);
        assert_eq!(effect("get_rows", says(Some(true), Some(true))), Effect::Read, "the word does not count beside it");
        assert_eq!(effect("get_rows", says(Some(false), None)), Effect::Update);
        assert_eq!(effect("get_rows", says(Some(false), Some(true))), Effect::Delete);
        assert_eq!(effect("send_rows", says(Some(false), Some(true))), Effect::Communicate, "its name says more");
    }
}
