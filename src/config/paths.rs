//! Relative paths. A configuration says the same wherever it is read from: every file that it names is found from its own
//! folder.

use std::path::{Path, PathBuf};

use super::Config;
use crate::net::SecretSource;

impl Config {
    /// Makes every path start at `folder`, the configuration's own. Absolute ones stay. `policies` and `data_dir` are
    /// resolved with the plan; destinations write below `data_dir`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        let tls = self.tls.iter_mut().flat_map(|tls| {
            [Some(&mut tls.certificate), Some(&mut tls.key), tls.client_ca.as_mut()].into_iter().flatten()
        });
        let keys = [self.record.root_key_file.as_mut(), self.record.log_key_file.as_mut()].into_iter().flatten();
        let issuers = self.identity.jwt.iter_mut().filter_map(|issuer| issuer.jwks_file.as_mut());
        let servers = self.servers.values_mut().flat_map(|server| {
            let tls = [server.tls.ca.as_mut(), server.tls.certificate.as_mut(), server.tls.key.as_mut()];
            let secrets = server.credentials.iter_mut().filter_map(|credential| match &mut credential.secret {
                SecretSource::File(path) => Some(path),
                SecretSource::Env(_) => None,
            });
            tls.into_iter().chain([server.working_directory.as_mut()]).flatten().chain(secrets)
        });
        let bundles = self.policy_bundle.iter_mut().flat_map(|bundle| {
            let signers = bundle.authors.iter_mut().chain(&mut bundle.approvers).map(|signer| &mut signer.key);
            signers.chain([&mut bundle.file])
        });
        let pins = self
            .tool_pins
            .iter_mut()
            .flat_map(|pins| pins.signers.iter_mut().map(|signer| &mut signer.key).chain([&mut pins.file]));
        let tables = self.sessions.drift.static_table.iter_mut().map(|table| &mut table.file);
        let signed = bundles.chain(pins).chain(tables);
        let telemetry = self.telemetry.lookups.paths().chain(&mut self.telemetry.compliance.mapping);
        let all: Vec<&mut PathBuf> =
            tls.chain(keys).chain(issuers).chain(servers).chain(signed).chain(telemetry).collect();
        for path in all {
            *path = folder.join(&*path);
        }
    }
}
