//! A listener's certificate that follows its files.
//!
//! Certificates live shorter than the process. The files are looked at during a handshake, at most every
//! [`CHECK_INTERVAL_NS`]; a pair that cannot be used (half written, not matching) leaves the old one in place, is
//! logged, and is tried again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::tls::{TlsError, read_pair};
use crate::model::Clock;

/// How often the files are looked at: soon enough for people who wait beside it, rare enough to cost nothing.
const CHECK_INTERVAL_NS: u64 = 2_000_000_000;

/// What tells one version of a file from another.
type Stamp = (Option<SystemTime>, u64);

/// The certificate and the files it comes from.
pub(super) struct ReloadingCertificate {
    certificate: PathBuf,
    key: PathBuf,
    clock: Arc<dyn Clock>,
    current: ArcSwap<CertifiedKey>,
    next_check_ns: AtomicU64,
    loaded: Mutex<Loaded>,
}

/// Which version of the files is in use, and the last complaint, so that one fault is logged once.
struct Loaded {
    stamps: (Stamp, Stamp),
    complaint: Option<String>,
}

impl ReloadingCertificate {
    pub(super) fn load(certificate: &Path, key: &Path, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        // Stamped before reading: a change in between is then seen at the next look.
        let stamps = (stamp(certificate), stamp(key));
        let pair = read_pair(certificate, key)?;
        Ok(Self {
            certificate: certificate.into(),
            key: key.into(),
            next_check_ns: AtomicU64::new(clock.monotonic_ns().saturating_add(CHECK_INTERVAL_NS)),
            clock,
            current: ArcSwap::from_pointee(pair),
            loaded: Mutex::new(Loaded { stamps, complaint: None }),
        })
    }

    /// The certificate in use, after a look at the files when one is due.
    fn current(&self) -> Arc<CertifiedKey> {
        let (now, due) = (self.clock.monotonic_ns(), self.next_check_ns.load(Ordering::Relaxed));
        let next = now.saturating_add(CHECK_INTERVAL_NS);
        // Whoever moves the time of the next look does this one; the other handshakes go on.
        let mine =
            now >= due && self.next_check_ns.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            self.reload();
        }
        self.current.load_full()
    }

    fn reload(&self) {
        let stamps = (stamp(&self.certificate), stamp(&self.key));
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if stamps == loaded.stamps {
            return;
        }
        match read_pair(&self.certificate, &self.key) {
            Ok(pair) => {
                self.current.store(Arc::new(pair));
                *loaded = Loaded { stamps, complaint: None };
                tracing::info!(certificate = %self.certificate.display(), "loaded the changed certificate");
            }
            Err(error) => {
                let complaint = describe(&error);
                if loaded.complaint.as_ref() != Some(&complaint) {
                    tracing::error!(error = complaint, "the changed certificate cannot be used; the old one stays");
                }
                loaded.complaint = Some(complaint);
            }
        }
    }
}

fn describe(error: &TlsError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn stamp(path: &Path) -> Stamp {
    std::fs::metadata(path).map_or((None, 0), |metadata| (metadata.modified().ok(), metadata.len()))
}

impl ResolvesServerCert for ReloadingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl std::fmt::Debug for ReloadingCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReloadingCertificate").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}
