//! The keys in use: kept until shortly before they end, and asked for anew when something was refused.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::super::SendError;
use super::super::environment::variable;
use super::ServiceConfig;
use super::source::{Keys, Source};
use crate::export::ExportError;
use crate::model::{Clock, Timestamp};

/// Keys are replaced this long before they end: no request may outlive them. Microseconds.
const MARGIN_US: u64 = 5 * 60 * 1_000_000;

/// How long keys are used that do not say when they end. Microseconds.
const LIFE_US: u64 = 15 * 60 * 1_000_000;

pub(super) struct Credentials {
    source: Source,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<Held>>,
}

struct Held {
    keys: Keys,
    /// From then on they are asked for again.
    renew: Timestamp,
}

impl Credentials {
    /// # Errors
    /// [`ExportError`]: what is configured cannot be used.
    pub(super) fn open(
        name: &str,
        service: &ServiceConfig<'_>,
        region: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ExportError> {
        let source = Source::choose(name, service, region, &variable)?;
        Ok(Self { source, clock, held: Mutex::default() })
    }

    /// The keys of this moment. While a service that gives keys fails, the last ones are used as long as they hold.
    ///
    /// # Errors
    /// [`SendError`]: there are none now.
    pub(super) async fn load(&self) -> Result<Keys, SendError> {
        if self.source.is_local() {
            return self.source.ask().await;
        }
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        if let Some(Held { keys, renew }) = &*held
            && now < *renew
        {
            return Ok(keys.clone());
        }
        match self.source.ask().await {
            Ok(keys) => {
                let life = keys.expires.map_or(LIFE_US, |end| end.micros_since(now).saturating_sub(MARGIN_US));
                *held = Some(Held { keys: keys.clone(), renew: now.plus_micros(life) });
                Ok(keys)
            }
            Err(error) => match &*held {
                Some(Held { keys, .. }) if keys.expires.is_some_and(|end| now < end) => {
                    tracing::warn!(%error, "keys of AWS cannot be renewed; the last ones still hold");
                    Ok(keys.clone())
                }
                _ => Err(error),
            },
        }
    }

    /// Something was refused: ask again before the next request.
    pub(super) async fn forget(&self) {
        if let Some(held) = &mut *self.held.lock().await {
            held.renew = Timestamp::default();
        }
    }
}
