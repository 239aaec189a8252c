//! The whole stage: credentials in, identity out, with keys made here and a clock that stands still.

mod authenticator;
mod issuer;
mod key_sets;
mod tokens;

use std::sync::Arc;

use super::*;
use crate::model::{ManualClock, Timestamp};
use crate::net::scratch::Scratch;

/// The time at which every test begins.
const NOW_S: u64 = 1_800_000_000;

/// An authenticator, and what it stands on.
struct House {
    scratch: Scratch,
    clock: Arc<ManualClock>,
    authenticator: CredentialAuthenticator,
}

impl House {
    fn new(config: &str) -> Self {
        Self::with(Scratch::new(), config, None)
    }

    fn with(scratch: Scratch, config: &str, agents: Option<&str>) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW_S)));
        let agents = agents.map(agents_of);
        let authenticator =
            CredentialAuthenticator::new(&config_of(config), agents.as_deref(), Arc::clone(&clock) as Arc<dyn Clock>);
        Self { scratch, clock, authenticator: authenticator.unwrap() }
    }

    async fn identify(&self, credentials: &Credentials) -> Identity {
        self.authenticator.identify(credentials, &peer("127.0.0.1")).await
    }

    async fn bearer(&self, credential: &str) -> Identity {
        self.identify(&bearer(credential)).await
    }

    /// The problem with a credential that must not count.
    async fn problem(&self, credential: &str) -> String {
        let identity = self.bearer(credential).await;
        assert_eq!(identity.verification, crate::model::Verification::None, "{identity:?}");
        assert!(identity.human.is_none() && identity.service.is_none() && identity.agent.is_none());
        identity.problem.map(|problem| problem.to_string()).unwrap_or_default()
    }

    fn advance_s(&self, seconds: u64) {
        self.clock.advance_micros(seconds * 1_000_000);
    }
}

fn config_of(yaml: &str) -> Config {
    serde_saphyr::from_str(yaml).unwrap()
}

fn agents_of(yaml: &str) -> Vec<Agent> {
    serde_saphyr::from_str(yaml).unwrap()
}

fn refused(config: &str) -> IdentifyError {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW_S)));
    CredentialAuthenticator::new(&config_of(config), None, clock).unwrap_err()
}

fn peer(address: &str) -> Peer {
    Peer::Address(std::net::SocketAddr::new(address.parse().unwrap(), 40_000))
}

fn bearer(credential: &str) -> Credentials {
    Credentials { authorization: Some(format!("Bearer {credential}").into()), ..Credentials::default() }
}

fn name(claim: Option<&crate::model::Claim>) -> Option<&str> {
    claim.map(|claim| &*claim.value)
}
