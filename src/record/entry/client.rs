//! The part of the block `action` about the program that sent it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Domain, Text, clip};
use crate::model::{Client, Digest, Era, Peer};

/// Names and versions. Bytes inside the JSON string.
const NAME_MAX: usize = 128;

/// The program that sent an action. Name and version are self-reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ClientBlock<'a> {
    pub era: Text<'a>,
    pub name: Option<Text<'a>>,
    pub peer: PeerBlock<'a>,
    pub protocol_session_hash: Option<Digest>,
    pub protocol_version: Option<Text<'a>>,
    pub transport: Text<'a>,
    pub version: Option<Text<'a>>,
}

/// Where a client is: host and port, or a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct PeerBlock<'a> {
    pub host: Option<Text<'a>>,
    pub pid: Option<u32>,
    pub port: Option<u16>,
}

impl<'a> ClientBlock<'a> {
    pub(super) fn of(client: &'a Client) -> Self {
        let short = |text: &'a Option<Arc<str>>| text.as_deref().map(|text| clip(text, NAME_MAX));
        let era = match client.era {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        };
        Self {
            era: era.into(),
            name: short(&client.name),
            peer: PeerBlock::of(&client.peer),
            protocol_session_hash: client
                .protocol_session
                .as_deref()
                .map(|id| Domain::ProtocolSession.name(id.as_bytes())),
            protocol_version: short(&client.protocol_version),
            transport: client.transport.as_str().into(),
            version: short(&client.version),
        }
    }
}

impl PeerBlock<'_> {
    fn of(peer: &Peer) -> Self {
        match peer {
            Peer::Address(address) => {
                Self { host: Some(address.ip().to_string().into()), pid: None, port: Some(address.port()) }
            }
            Peer::Process(pid) => Self { host: None, pid: Some(*pid), port: None },
        }
    }
}
