//! The `agents:` inventory: which agents there are, who answers for them, and which servers they may reach.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use super::IdentifyError;
use super::rejection::is_name;
use crate::model::{Enforcement, Identity};

/// One agent of the inventory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// The agent's id, as credentials name it.
    pub id: String,
    /// The accountable person.
    pub owner: String,
    /// The team.
    #[serde(default)]
    pub team: Option<String>,
    /// The tenant.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The servers it may reach, by their configured names. Not set: all.
    #[serde(default)]
    pub servers: Option<Vec<String>>,
    /// Whether decisions about it are carried out. Not set: as for everybody.
    #[serde(default)]
    pub mode: Option<Enforcement>,
}

/// The inventory by agent id.
#[derive(Debug)]
pub(super) struct Inventory {
    agents: HashMap<Arc<str>, Listing>,
    no_servers: Arc<[Arc<str>]>,
}

#[derive(Debug)]
struct Listing {
    owner: Arc<str>,
    team: Option<Arc<str>>,
    tenant: Option<Arc<str>>,
    servers: Option<Arc<[Arc<str>]>>,
    mode: Option<Enforcement>,
}

impl Inventory {
    pub(super) fn new(agents: &[Agent]) -> Result<Self, IdentifyError> {
        let mut listings = HashMap::with_capacity(agents.len());
        for agent in agents {
            let names = [Some(&agent.id), Some(&agent.owner), agent.team.as_ref(), agent.tenant.as_ref()];
            if !names.into_iter().flatten().all(|name| is_name(name)) {
                let problem = "names are 1 to 256 bytes without control characters";
                return Err(IdentifyError::Value { key: "agents", subject: agent.id.clone(), problem });
            }
            let listing = Listing {
                owner: agent.owner.as_str().into(),
                team: agent.team.as_deref().map(Arc::from),
                tenant: agent.tenant.as_deref().map(Arc::from),
                servers: agent.servers.as_ref().map(|all| all.iter().map(|name| Arc::from(name.as_str())).collect()),
                mode: agent.mode,
            };
            if listings.insert(Arc::from(agent.id.as_str()), listing).is_some() {
                return Err(IdentifyError::Duplicate(agent.id.clone(), "agents"));
            }
        }
        Ok(Self { agents: listings, no_servers: Arc::new([]) })
    }

    /// Adds what the inventory knows. Whoever is no agent in it may reach no server.
    pub(super) fn complete(&self, identity: &mut Identity) {
        // An id that only the caller vouches for must not borrow a listed agent's rights.
        let verified = identity.agent.as_ref().filter(|agent| agent.id.verification.is_verified());
        let listing = verified.and_then(|agent| self.agents.get(&agent.id.value));
        if let Some(agent) = identity.agent.as_mut() {
            agent.listed = Some(listing.is_some());
        }
        match listing {
            Some(listing) => {
                identity.owner = Some(Arc::clone(&listing.owner));
                identity.team.clone_from(&listing.team);
                identity.tenant.clone_from(&listing.tenant);
                identity.servers.clone_from(&listing.servers);
                identity.mode = listing.mode;
            }
            None => identity.servers = Some(Arc::clone(&self.no_servers)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AgentIdentity, Claim, Verification};

    fn inventory(yaml: &str) -> Result<Inventory, IdentifyError> {
        Inventory::new(&serde_saphyr::from_str::<Vec<Agent>>(yaml).unwrap())
    }

    fn complete(inventory: &Inventory, agent: Option<(&str, Verification)>) -> Identity {
        let agent = agent.map(|(id, verification)| AgentIdentity {
            id: Claim { value: id.into(), verification },
            instance: None,
            version: None,
            listed: None,
        });
        let mut identity = Identity { agent, ..Identity::default() };
        inventory.complete(&mut identity);
        identity
    }

    #[test]
    fn a_listed_agent_gets_what_the_inventory_says() {
        let inventory = inventory(
            "[{id: builder, owner: alice, team: ci, tenant: acme, servers: [git], mode: shadow}, {id: b, owner: bob}]",
        )
        .unwrap();
        let builder = complete(&inventory, Some(("builder", Verification::Jwt)));
        assert_eq!(builder.owner.as_deref(), Some("alice"));
        assert_eq!((builder.team.as_deref(), builder.tenant.as_deref()), (Some("ci"), Some("acme")));
        assert_eq!(builder.servers.as_deref(), Some(&[Arc::from("git")][..]));
        assert_eq!(builder.mode, Some(Enforcement::Shadow));
        assert_eq!(builder.agent.unwrap().listed, Some(true));
        let other = complete(&inventory, Some(("b", Verification::ApiKey)));
        assert_eq!((other.servers, other.owner.as_deref()), (None, Some("bob")));
    }

    #[test]
    fn whoever_is_not_listed_reaches_nothing() {
        let inventory = inventory("[{id: builder, owner: alice}]").unwrap();
        for agent in [Some(("Builder", Verification::Jwt)), Some(("builder", Verification::Asserted)), None] {
            let identity = complete(&inventory, agent);
            assert_eq!(identity.servers.as_deref(), Some(&[][..]), "{agent:?}");
            assert_eq!(identity.owner, None);
            assert_eq!(identity.agent.and_then(|agent| agent.listed), agent.map(|_| false));
        }
    }

    #[test]
    fn one_id_is_one_agent() {
        assert!(matches!(inventory("[{id: a, owner: x}, {id: a, owner: y}]"), Err(IdentifyError::Duplicate(..))));
        assert!(matches!(inventory("[{id: '', owner: x}]"), Err(IdentifyError::Value { .. })));
        assert!(serde_saphyr::from_str::<Vec<Agent>>("[{id: a}]").is_err(), "an agent without an owner");
    }
}
