//! What words and sentences say: which effects they ask for, and whether they give an order.

mod table;

use super::scan::{Begins, Word};
use crate::model::Effect;
pub(super) use table::class;

/// What a word can be, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Class(pub(super) u64);

/// Which effects a sentence, an intent or an operation is about, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Effects(pub(super) u16);

const EFFECT_BITS: u64 = 0xfff;
/// The same effects, where the word must stand in the place of a verb.
const NOUN_VERB_SHIFT: u32 = 12;
/// The same effects, as nouns after a light verb.
const EFFECT_NOUN_SHIFT: u32 = 24;

impl Class {
    pub(super) const ACCESS: Self = Self(1);
    pub(super) const COMMUNICATE: Self = Self(1 << 1);
    pub(super) const CREATE: Self = Self(1 << 2);
    pub(super) const CREDENTIAL: Self = Self(1 << 3);
    pub(super) const DELETE: Self = Self(1 << 4);
    pub(super) const EXECUTE: Self = Self(1 << 5);
    pub(super) const PAY: Self = Self(1 << 6);
    pub(super) const UPDATE: Self = Self(1 << 7);
    pub(super) const FETCH: Self = Self(1 << 8);

    pub(super) const READ: Self = Self(1 << 36);
    pub(super) const READ_NOUN: Self = Self(1 << 37);
    pub(super) const CONFIRM: Self = Self(1 << 38);
    pub(super) const FORM: Self = Self(1 << 39);
    pub(super) const PERSON: Self = Self(1 << 40);
    pub(super) const WEB: Self = Self(1 << 41);
    const DELEGATE: Self = Self(1 << 42);
    const DELEGATED: Self = Self(1 << 43);
    const STOP: Self = Self(1 << 44);
    const GENERIC: Self = Self(1 << 45);
    const PLEASE: Self = Self(1 << 46);
    const MODAL: Self = Self(1 << 47);
    const BASE: Self = Self(1 << 48);
    const LIGHT: Self = Self(1 << 49);
    pub(super) const MONEY: Self = Self(1 << 50);
    const MONEY_VERB: Self = Self(1 << 51);
    const SECRET: Self = Self(1 << 52);
    pub(super) const NAME_SECRET: Self = Self(1 << 53);
    const OVERRIDE_VERB: Self = Self(1 << 54);
    const OVERRIDE_OBJECT: Self = Self(1 << 55);
    const MACHINE: Self = Self(1 << 56);
    const PRECEDENCE: Self = Self(1 << 57);
    const SECRECY: Self = Self(1 << 58);
    const MARKUP: Self = Self(1 << 59);
    const BEFORE_VERB: Self = Self(1 << 60);
    pub(super) const EVENT: Self = Self(1 << 61);
    pub(super) const SHOP: Self = Self(1 << 62);
    pub(super) const ROLE: Self = Self(1 << 63);

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn verb(self) -> Effects {
        bits(self.0)
    }

    pub(super) fn noun_verb(self) -> Effects {
        bits(self.0 >> NOUN_VERB_SHIFT)
    }

    fn effect_noun(self) -> Effects {
        bits(self.0 >> EFFECT_NOUN_SHIFT)
    }

    pub(super) const fn is_stop(self) -> bool {
        self.has(Self::STOP)
    }

    /// Whether it says what a text is about, and not only how.
    pub(super) const fn is_distinctive(self) -> bool {
        !self.has(Self(Self::STOP.0 | Self::GENERIC.0 | Self::BASE.0 | Self::WEB.0 | Self::READ.0 | EFFECT_BITS))
    }
}

fn bits(value: u64) -> Effects {
    Effects(u16::try_from(value & EFFECT_BITS).unwrap_or_default())
}

impl Effects {
    pub(super) const FETCH: Self = Self(1 << 8);
    const COMMUNICATE: Self = Self(1 << 1);
    const CREDENTIAL: Self = Self(1 << 3);
    const PAY: Self = Self(1 << 6);

    pub(super) const fn of(effect: Effect) -> Self {
        Self(match effect {
            Effect::Access => 1,
            Effect::Communicate => 1 << 1,
            Effect::Create => 1 << 2,
            Effect::Credential => 1 << 3,
            Effect::Delete => 1 << 4,
            Effect::Execute => 1 << 5,
            Effect::Pay => 1 << 6,
            Effect::Update => 1 << 7,
            Effect::Confirm | Effect::Other | Effect::Read => 0,
        })
    }

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Reads a text word by word and knows what the sentence so far has said.
#[derive(Debug, Default)]
pub(super) struct Sentence {
    /// Effects that it asks for.
    pub(super) effects: Effects,
    /// It gives an order.
    pub(super) directive: bool,
    /// It is about credentials.
    pub(super) secret: bool,
    /// It is about things on the web.
    pub(super) web: bool,
    /// It hands over: "do the tasks".
    pub(super) delegates: bool,
    /// Categories of the attack lexicon that it shows.
    pub(super) lexicon: u8,
    count: usize,
    fillers_only: bool,
    about_to_order: bool,
    polite: bool,
    money: bool,
    money_verb: bool,
    delegate_at: Option<usize>,
    light_at: Option<usize>,
    override_at: Option<usize>,
    machine_at: Option<usize>,
    previous: Class,
    second_at: Option<usize>,
    modal_at: Option<usize>,
    let_at: Option<usize>,
    tell_at: Option<usize>,
}

/// Categories of the attack lexicon.
pub(super) const LEXICON_OVERRIDE: u8 = 1;
pub(super) const LEXICON_MACHINE: u8 = 2;
pub(super) const LEXICON_PRECEDENCE: u8 = 4;
pub(super) const LEXICON_SECRECY: u8 = 8;
pub(super) const LEXICON_MARKUP: u8 = 16;
pub(super) const LEXICON_TASK: u8 = 32;

impl Sentence {
    pub(super) fn start() -> Self {
        Self { fillers_only: true, ..Self::default() }
    }

    /// Adds a word, and says what it is.
    pub(super) fn add(&mut self, word: &Word<'_>) -> Class {
        let class = class(word.text);
        // Parts of an address, a link or a number say nothing about what the sentence wants.
        if !word.glued || self.count == 0 {
            self.effects_of(word, class);
            self.order(word, class);
            self.delegation(word, class);
            self.machine(word, class);
            self.previous = class;
        }
        self.count += 1;
        class
    }

    fn effects_of(&mut self, word: &Word<'_>, class: Class) {
        let mut effects = class.verb();
        let before = Class(Class::PLEASE.0 | Class::MODAL.0 | Class::BEFORE_VERB.0);
        self.lets_know(word);
        if word.begins != Begins::Nothing || self.fillers_only || self.previous.has(before) {
            effects = effects.with(class.noun_verb());
        }
        if self.light_at.is_some_and(|at| self.count - at <= 6) {
            effects = effects.with(class.effect_noun());
        }
        if class.has(Class::LIGHT) {
            self.light_at = Some(self.count);
        }
        if class.has(Class::SECRET) {
            self.secret = true;
            effects = effects.with(Effects::CREDENTIAL);
        }
        self.web |= class.has(Class::WEB);
        self.money |= word.money || class.has(Class::MONEY);
        self.money_verb |= class.has(Class::MONEY_VERB);
        if self.money && self.money_verb {
            effects = effects.with(Effects::PAY);
        }
        self.effects = self.effects.with(effects);
    }

    /// "let Bob know", "tell Bob": tells somebody, unless it is the user who wants to know.
    fn lets_know(&mut self, word: &Word<'_>) {
        if self.tell_at.take().is_some() && !matches!(word.text, "me" | "us") {
            self.effects = self.effects.with(Effects::COMMUNICATE);
        }
        match word.text {
            "let" => self.let_at = Some(self.count),
            "tell" => self.tell_at = Some(self.count),
            "me" | "us" if self.let_at.is_some_and(|at| self.count == at + 1) => self.let_at = None,
            "know" if self.let_at.is_some_and(|at| self.count - at <= 4) => {
                self.effects = self.effects.with(Effects::COMMUNICATE);
            }
            _ => {}
        }
    }

    fn order(&mut self, word: &Word<'_>, class: Class) {
        // "Email: ann@x.test" is a label and no order; "Email ann@x.test" is one.
        if std::mem::take(&mut self.about_to_order) && !word.labelled {
            self.directive = true;
        }
        let is_filler = class.has(Class::PLEASE)
            || matches!(
                word.text,
                "also" | "then" | "and" | "now" | "so" | "finally" | "first" | "next" | "just" | "after" | "hey" | "hi"
            );
        self.polite |= class.has(Class::PLEASE);
        if class.has(Class::BASE)
            && (self.fillers_only || self.polite || (word.begins == Begins::Clause && self.previous_allows_clause()))
        {
            self.about_to_order = true;
        }
        if matches!(word.text, "you" | "your") {
            self.second_at = Some(self.count);
        }
        if class.has(Class::MODAL) {
            self.modal_at = Some(self.count);
        }
        // "you must", "could you", "need you to", "make sure", "remember to".
        let near = |a: Option<usize>, b: Option<usize>| matches!((a, b), (Some(a), Some(b)) if a.abs_diff(b) <= 2);
        if class.has(Class::BASE) && near(self.second_at, self.modal_at) {
            self.directive = true;
        }
        if matches!(word.text, "sure" | "ensure" | "remember" | "required" | "supposed" | "asked") {
            self.polite = true;
        }
        if !is_filler {
            self.fillers_only = false;
        }
    }

    /// A verb after a comma or colon gives an order when the sentence has begun like an address or a heading.
    const fn previous_allows_clause(&self) -> bool {
        self.count <= 8
    }

    fn delegation(&mut self, word: &Word<'_>, class: Class) {
        if class.has(Class::DELEGATE) {
            self.delegate_at = Some(self.count);
        }
        let strong = class.has(Class::DELEGATED)
            && !matches!(word.text, "it" | "them" | "that" | "order" | "orders" | "work" | "job");
        if strong && self.delegate_at.is_some_and(|at| self.count - at <= 7) {
            self.delegates = true;
        }
        if matches!(word.text, "accordingly" | "todo" | "todos")
            || (class.has(Class::DELEGATED)
                && self.delegate_at.is_some_and(|at| self.count - at <= 2)
                && self.count > 3)
        {
            self.delegates = true;
        }
    }

    fn machine(&mut self, word: &Word<'_>, class: Class) {
        if class.has(Class::OVERRIDE_VERB) {
            self.override_at = Some(self.count);
        }
        if class.has(Class::OVERRIDE_OBJECT) && self.override_at.is_some_and(|at| self.count - at <= 5) {
            self.lexicon |= LEXICON_OVERRIDE;
        }
        // "you, an AI model" and "assistant, you must"; not every text that mentions an assistant.
        if class.has(Class::MACHINE) {
            self.machine_at = Some(self.count);
        }
        if matches!((self.machine_at, self.second_at), (Some(a), Some(b)) if a.abs_diff(b) <= 4) {
            self.lexicon |= LEXICON_MACHINE;
        }
        if class.has(Class::PRECEDENCE) {
            self.lexicon |= LEXICON_PRECEDENCE;
        }
        if class.has(Class::SECRECY) {
            self.lexicon |= LEXICON_SECRECY;
        }
        if class.has(Class::MARKUP) && word.tagged {
            self.lexicon |= LEXICON_MARKUP;
        }
        if matches!(word.text, "task" | "tasks" | "instructions" | "goal" | "objective")
            && self.second_at.is_some_and(|at| self.count - at <= 8)
        {
            self.lexicon |= LEXICON_TASK;
        }
    }
}
