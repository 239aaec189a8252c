//! `telemetry.lookups`: where the lookups of `enrichment` get their answers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use super::Source;
use super::inventory::Inventory;
use crate::export::seed::{EnrichmentConfig, LookupKind};
use crate::model::Clock;
use crate::net::{ClientTls, HttpClient, SecretSource};

/// How long an event may wait for lookups, milliseconds. With the 50 ms in which entries gather it is within the 200 ms in
/// which HIGH must have left.
const TIMEOUT_MS: u64 = 100;

/// Seconds that an answer counts: people change departments rarely.
const TTL_S: u64 = 3_600;

/// Seconds until a source that failed is asked again, and one that was slow is waited for again.
const RETRY_S: u64 = 30;

/// Answers that are kept: some 10 MiB at most.
const ENTRIES_MAX: usize = 10_000;

/// Where lookups get their answers, and how long they may take.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LookupsConfig {
    /// Milliseconds that events wait for answers. What comes later completes later events.
    pub timeout_ms: u64,
    /// Seconds that an answer counts.
    pub ttl_s: u64,
    /// Seconds until a source that failed is asked again.
    pub retry_s: u64,
    /// Answers that are kept.
    pub entries_max: usize,
    /// `lookup: asset_inventory`.
    pub asset_inventory: Option<InventoryConfig>,
    /// `lookup: ldap`. Without it the variables `LDAPURI` and `LDAPBASE` count, as for OpenLDAP's own commands.
    pub ldap: LdapConfig,
}

impl Default for LookupsConfig {
    fn default() -> Self {
        Self {
            timeout_ms: TIMEOUT_MS,
            ttl_s: TTL_S,
            retry_s: RETRY_S,
            entries_max: ENTRIES_MAX,
            asset_inventory: None,
            ldap: LdapConfig::default(),
        }
    }
}

/// An inventory: CSV or JSON, in a file or behind an address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventoryConfig {
    /// The file, `.csv` or `.json`. Read again when it changes.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// The address. With `{value}` in it each value is asked for by itself and the answer is one JSON object; without, the
    /// whole inventory is fetched.
    #[serde(default)]
    pub url: Option<String>,
    /// The column, or member of each object, that is compared with the value. The first column of CSV by default.
    #[serde(default)]
    pub key: Option<String>,
    /// Seconds between looks at the file or the address.
    #[serde(default = "refresh_s")]
    pub refresh_s: u64,
    /// The value of the header `Authorization`.
    #[serde(default)]
    pub authorization: Option<SecretSource>,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
}

const fn refresh_s() -> u64 {
    300
}

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LdapConfig {
    /// `ldaps://...`, or `ldap://...`. `LDAPURI` by default.
    pub url: Option<String>,
    /// The entry below which people are. `LDAPBASE` by default.
    pub base: Option<String>,
    /// How they are found; `{value}` stands for the value, escaped (RFC 4515).
    pub filter: String,
    /// Who asks. Nobody in particular by default.
    pub bind_dn: Option<String>,
    /// The password of `bind_dn`. A file is read again for every connection.
    pub password: Option<SecretSource>,
    /// Whether a connection to `ldap://` is encrypted before anything is said (RFC 4511 §4.14).
    pub start_tls: bool,
    /// Authorities and client certificate.
    pub tls: ClientTls,
    /// The attribute behind a field, where it has another name: `location: l`.
    pub attributes: BTreeMap<String, String>,
}

impl Default for LdapConfig {
    fn default() -> Self {
        Self {
            url: None,
            base: None,
            filter: "(|(mail={value})(userPrincipalName={value})(uid={value}))".into(),
            bind_dn: None,
            password: None,
            start_tls: false,
            tls: ClientTls::default(),
            attributes: BTreeMap::from([("location".into(), "l".into())]),
        }
    }
}

impl LookupsConfig {
    /// Prepares the source of one line of `enrichment`.
    ///
    /// # Errors
    /// A sentence: the source is not configured, or cannot be used as it is.
    pub(super) fn open(&self, wanted: &EnrichmentConfig, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Source>, String> {
        match wanted.lookup {
            LookupKind::AssetInventory => {
                let config = self.asset_inventory.as_ref().ok_or(
                    "there is no inventory; add `telemetry.lookups.asset_inventory` with `file` or `url`".to_owned(),
                )?;
                Ok(Arc::new(Inventory::new(config, &wanted.add_fields, Arc::clone(clock))?))
            }
            #[cfg(feature = "ldap")]
            LookupKind::Ldap => {
                Ok(Arc::new(super::ldap::Directory::new(&self.ldap, &wanted.add_fields, Arc::clone(clock))?))
            }
            #[cfg(not(feature = "ldap"))]
            LookupKind::Ldap => Err("this program was built without it".into()),
        }
    }

    /// Every file that is named.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let file = self.asset_inventory.as_mut().and_then(|inventory| inventory.file.as_mut());
        let tls = &mut self.ldap.tls;
        [file, tls.ca.as_mut(), tls.certificate.as_mut(), tls.key.as_mut()].into_iter().flatten()
    }
}
