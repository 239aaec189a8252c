//! The order of the demo: play twice, wait for a person, kill, start again, verify, tamper, verify again.

use std::sync::Arc;

use super::agent;
use super::events;
use super::evidence::{self, Log, Outside};
use super::facts::{Facts, Played, Restart};
use super::failure::Failure;
use super::office::Office;
use super::person::{self, Answers};
use super::proxy::{Proxy, Setup};
use super::server::Servers;
use super::workplace::Workplace;
use crate::model::Clock as _;
use crate::net::SystemClock;

/// Plays everything and gives what was found.
///
/// # Errors
/// [`Failure`]: it could not be played to its end.
pub(super) async fn play(place: &Workplace, answers: Answers) -> Result<Facts, Failure> {
    let clock = SystemClock::new();
    let without = play_without().await?;

    let office = Arc::new(Office::open());
    let servers = Servers::start(Arc::clone(&office)).await?;
    let setup = Setup::write(place, |domain| servers.url(domain))?;
    let proxy = Proxy::start(&setup).await?;
    let outside = Outside::pin(setup.data())?;
    let steps = agent::work(|domain| setup.url(domain), Some(setup.credential())).await?;
    let waited = person::ask(&setup, answers, || office.effects().paid).await?;
    let with = Played { steps, effects: office.effects() };
    let events = events::arrive(setup.events(), with.steps.len()).await?;

    let killed_ns = clock.monotonic_ns();
    proxy.kill().await?;
    let proxy = Proxy::start(&setup).await?;
    let ready_ms = clock.monotonic_ns().saturating_sub(killed_ns) / 1_000_000;
    proxy.stop(&setup).await?;

    let log = Log::read(setup.data())?;
    let known = events::entries(&events);
    let recovered = known.iter().filter(|(index, leaf)| log.holds(*index, leaf)).count();
    let outside = outside.with_siem(&known);
    let refusal = log.refusal()?;
    Ok(Facts {
        without,
        with,
        waited,
        decisions: log.decisions(),
        restart: Restart { known, recovered, ready_ms },
        verified: evidence::verify(setup.data(), &outside),
        tampered: evidence::tamper(setup.data(), &place.path("tampered"), refusal, &outside)?,
        check: evidence::write_check(place, setup.data(), refusal)?,
        event: events::decision(&events, refusal.index),
        ocsf: events::ocsf_finding(&setup.ocsf(), refusal.index)?,
        cef: events::cef_decision(&setup.cef(), refusal.index)?,
        took_ms: clock.monotonic_ns() / 1_000_000,
    })
}

async fn play_without() -> Result<Played, Failure> {
    let office = Arc::new(Office::open());
    let servers = Servers::start(Arc::clone(&office)).await?;
    let steps = agent::work(|domain| servers.url(domain), None).await?;
    Ok(Played { steps, effects: office.effects() })
}
