//! What the operator sets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::table::{Table, TableConfig, TableError};
use crate::model::PartsPerMillion;

/// What the operator sets.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The domain of the agents, which sets the threshold of distances (AARM ).
    pub profile: Profile,
    /// A threshold of its own, 0 to 1; otherwise the profile's.
    pub distance_threshold: Option<f64>,
    /// Actions in one session after which `chain_length_exceeded` is true.
    pub chain_length_max: u64,
    /// Actions in 60 seconds after which `velocity_anomaly` is true.
    pub velocity_max: u64,
    /// Whether wording that is addressed to a machine is looked for. Without it the signals about such wording are
    /// false, and questions are not turned into refusals.
    pub attack_lexicon: bool,
    /// Which links may be opened because of what the user said.
    pub link_fetch: LinkFetch,
    /// Word vectors that distances are measured with instead of n-grams.
    pub static_table: Option<TableConfig>,
    /// What `static_table` names, once it was read.
    #[serde(skip)]
    pub table: Option<Arc<Table>>,
}

/// Which links may be opened because of what the user said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkFetch {
    /// Those to a host that the user named or that was reached with consent, and those that are only mentioned where the
    /// user asked for what is behind links.
    #[default]
    Hosts,
    /// Opening a link counts as reading and nothing else: where what leaves in a link is nobody's concern.
    Ignored,
    /// Those that the user named, each by itself: where strangers write on hosts that the user names.
    Named,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile::Default,
            distance_threshold: None,
            chain_length_max: 30,
            velocity_max: 60,
            attack_lexicon: true,
            link_fetch: LinkFetch::default(),
            static_table: None,
            table: None,
        }
    }
}

/// Domains of agents, with the thresholds that AARM gives for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// 0.90
    Coding,
    /// 0.65
    CustomerService,
    /// 0.75
    DataAnalyst,
    /// 0.70
    #[default]
    Default,
    /// 0.85
    Research,
}

impl Profile {
    /// The distance from which an action has drifted.
    #[must_use]
    pub const fn threshold(self) -> PartsPerMillion {
        PartsPerMillion(match self {
            Self::Coding => 900_000,
            Self::CustomerService => 650_000,
            Self::DataAnalyst => 750_000,
            Self::Default => 700_000,
            Self::Research => 850_000,
        })
    }
}

/// How far an output is trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Its fields are, its running text is not.
    #[default]
    Fields,
    /// Everything in it.
    Trusted,
    /// Nothing in it: whoever writes to it may write any field.
    Untrusted,
}

impl Config {
    /// Reads the table of word vectors, if one is named.
    ///
    /// # Errors
    /// [`TableError`]: it cannot be used.
    pub fn load(&mut self) -> Result<(), TableError> {
        self.table = self.static_table.as_ref().map(TableConfig::load).transpose()?.map(Arc::new);
        Ok(())
    }

    pub(in crate::context) fn threshold(&self) -> PartsPerMillion {
        let Some(own) = self.distance_threshold else { return self.profile.threshold() };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to [0, 1,000,000]")]
        let millionths = (own.clamp(0.0, 1.0) * 1e6).round() as u32;
        PartsPerMillion(millionths)
    }
}
