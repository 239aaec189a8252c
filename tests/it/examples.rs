//! Everything under `examples/` can be used as it is.

use std::path::{Path, PathBuf};

use countersign::config::{Plan, check_policies, load};
use serde_json::Value;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

#[test]
fn the_configuration_loads_with_its_policies() {
    let path = examples().join("countersign.yaml");
    let plan = Plan::check(load(&path).unwrap(), &examples()).unwrap();
    assert_eq!(plan.config.servers.len(), 4);
    check_policies(&plan).unwrap();
}

#[test]
fn every_client_leads_to_this_proxy() {
    for entry in std::fs::read_dir(examples().join("clients")).unwrap() {
        let path = entry.unwrap().path();
        let document: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let servers = document.get("mcpServers").or(document.get("servers")).and_then(Value::as_object).unwrap();
        assert!(!servers.is_empty());
        for (name, server) in servers {
            let leads = match server["url"].as_str() {
                Some(url) => url == format!("http://127.0.0.1:4180/mcp/{name}"),
                None => server["command"] == "countersign" && server["args"][0] == "wrap",
            };
            assert!(leads, "{}: {name}", path.display());
        }
    }
}

#[test]
fn the_network_policies_open_only_the_data_plane_to_agents() {
    let text = std::fs::read_to_string(examples().join("network-policy.yaml")).unwrap();
    let documents: Vec<Value> =
        text.split("\n---\n").skip(1).map(|document| serde_saphyr::from_str(document).unwrap()).collect();
    assert_eq!(documents.len(), 3);
    assert!(documents.iter().all(|document| document["kind"] == "NetworkPolicy"));
    let agents = &documents[0]["spec"];
    assert_eq!(agents["policyTypes"], serde_json::json!(["Ingress", "Egress"]));
    assert_eq!(agents["ingress"], serde_json::json!([]));
    let egress = agents["egress"].as_array().unwrap();
    assert_eq!(egress.len(), 1, "one door");
    assert_eq!(egress[0]["ports"], serde_json::json!([{"protocol": "TCP", "port": 4180}]));
    // One peer that is both in the namespace and labelled, not two peers of which either would do.
    let peers = egress[0]["to"].as_array().unwrap();
    assert_eq!(peers.len(), 1);
    assert!(peers[0]["namespaceSelector"].is_object() && peers[0]["podSelector"].is_object());
}
