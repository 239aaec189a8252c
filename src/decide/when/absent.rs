//! A program without CEL: a policy that needs it does not load.

use super::{Place, Said, Wrong};
use crate::decide::field::Field;
use crate::decide::input::Input;
use crate::decide::path::{Budget, Overrun};
use crate::decide::results::ResultFacts;
use crate::decide::settings::Settings;

/// There is none.
#[derive(Clone, Debug)]
pub(in crate::decide) enum When {}

impl When {
    pub(in crate::decide) fn compile(_text: &str, _place: Place) -> Result<Self, Vec<Wrong>> {
        Err(vec![Wrong {
            what: "`when` needs a program that was built with the feature `cel`".into(),
            advice:
                "build with `--features cel`, as the container image is, or write it with `match`, `any`, `all` and \
                     `not`"
                    .into(),
        }])
    }

    pub(in crate::decide) const fn text(&self) -> &str {
        match *self {}
    }

    pub(in crate::decide) const fn fields(&self) -> &[(Box<str>, Field)] {
        match *self {}
    }

    pub(in crate::decide) const fn restricts(&self) -> bool {
        match *self {}
    }

    pub(in crate::decide) fn say(
        &self,
        _input: &Input<'_>,
        _result: Option<&ResultFacts<'_>>,
        _settings: &Settings,
        _budget: &mut Budget,
        _seen: Option<&mut Vec<String>>,
    ) -> Result<Said<'_>, Overrun> {
        match *self {}
    }
}
