//! The labels that the product knows, and sets of them.

use std::sync::Arc;

use super::Detectors;
use crate::model::DataLevel;

/// What data is about, apart from how sensitive it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Lets somebody in: passwords, tokens, API keys.
    Credential,
    /// Accounts, salaries.
    Financial,
    /// Payment cards.
    Pci,
    /// Health.
    Phi,
    /// Who somebody is and how to reach them.
    Pii,
    /// Looks like a secret.
    Secret,
}

impl Label {
    /// All of them, in the order of their words.
    pub const ALL: [Self; 6] = [Self::Credential, Self::Financial, Self::Pci, Self::Phi, Self::Pii, Self::Secret];

    /// The word in policies, entries and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "CREDENTIAL",
            Self::Financial => "FINANCIAL",
            Self::Pci => "PCI",
            Self::Phi => "PHI",
            Self::Pii => "PII",
            Self::Secret => "SECRET",
        }
    }

    /// The level that usually comes with it.
    #[must_use]
    pub const fn level(self) -> DataLevel {
        match self {
            Self::Financial | Self::Pii => DataLevel::Confidential,
            Self::Credential | Self::Pci | Self::Phi | Self::Secret => DataLevel::Restricted,
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Credential => 1,
            Self::Financial => 2,
            Self::Pci => 4,
            Self::Phi => 8,
            Self::Pii => 16,
            Self::Secret => 32,
        }
    }
}

/// Labels that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    known: u8,
    /// Places in the list of custom detectors.
    pub(super) custom: Vec<usize>,
}

impl Labels {
    /// Adds one.
    pub const fn add(&mut self, label: Label) {
        self.known |= label.bit();
    }

    /// Whether it is there.
    #[must_use]
    pub const fn has(&self, label: Label) -> bool {
        self.known & label.bit() != 0
    }

    /// The known ones.
    pub fn known(&self) -> impl Iterator<Item = Label> + '_ {
        Label::ALL.into_iter().filter(|label| self.has(*label))
    }

    pub(super) fn names(&self, detectors: Option<&Detectors>) -> Vec<Arc<str>> {
        let custom = self.custom.iter().filter_map(|index| detectors?.custom_label(*index));
        self.known().map(|label| Arc::from(label.as_str())).chain(custom).collect()
    }
}
