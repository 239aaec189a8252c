#!/usr/bin/env bash
# Completes events from a real directory, over TLS and plainly; then with the directory stopped, and stalled.
#
#   tests/stand/ldap.sh TARGET WORK
#
# TARGET the build folder of a program with `--features ldap`; WORK a folder for what the run leaves behind. slapd comes
# from Debian (install.sh, part ldap) and listens on loopback only. Every event must arrive, with the id it has anyway.
set -euo pipefail
PATH="$PATH:/usr/sbin"

[ $# -eq 2 ] || { echo "usage: ldap.sh TARGET WORK" >&2; exit 2; }
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BINARY="$(cd "$1" && pwd)/debug/countersign"
rm -rf "${2:?}/ldap"
mkdir -p "$2/ldap/db"
WORK=$(cd "$2/ldap" && pwd)
cd "$WORK"
# shellcheck source=tests/stand/processes.sh
source "$HERE/processes.sh"
# shellcheck source=tests/stand/slapd.sh
source "$HERE/slapd.sh"
trap end_started EXIT
PROXY=$(free_port)
ADMIN=$(free_port)

localhost_certificate
slapd_prepare
printf 'secret-of-the-stand' >password
printf 'policy: { id: all, version: "1" }\nrules:\n  - { id: else, match: {}, action: ALLOW }\n' >policy.yaml

# run NAME WHO LOOKUP: three calls of WHO; the events go to data-NAME/sent.jsonl. Without LOOKUP the configuration says what the
# AARM telemetry page says, and nothing more; where the directory is, the variables of OpenLDAP's commands tell.
run() {
    local name=$1 who=$2 lookup=$3 key hash pid call
    read -r key hash < <("$BINARY" keys new "$name" --json | jq -r '"\(.key) \(.hash)"')
    if [ -n "$lookup" ]; then
        lookup="enrichment: [{ field: identity.human, lookup: ldap, add_fields: [department, manager, location] }]
  lookups: { timeout_ms: 2000, ldap: { $lookup, base: \"ou=people,dc=acme,dc=example\", attributes: { department: departmentNumber, location: l } } }"
    else
        lookup='enrichment: [{ field: identity.human, lookup: ldap }]'
    fi
    cat >"$name.yaml" <<YAML
listen: 127.0.0.1:$PROXY
admin: { listen: "127.0.0.1:$ADMIN" }
data_dir: data-$name
policies: [policy.yaml]
identity: { api_keys: [{ name: $name, hash: "$hash", human: "$who", agent: stand }] }
agents: [{ id: stand, owner: ann@acme.example, servers: [nothing] }]
policy: { unknown_schema: allow }
servers: { nothing: { url: "http://127.0.0.1:1/mcp" } }
telemetry:
  schema: ocsf
  $lookup
  exporters: [{ type: file, path: sent.jsonl, schema: aarm }, { type: file, name: ocsf, path: ocsf.jsonl }]
YAML
    "$BINARY" config check -c "$name.yaml" >"$name.check" 2>&1 || { cat "$name.check"; exit 1; }
    "$BINARY" run -q -c "$name.yaml" >"$name.log" 2>&1 </dev/null &
    pid=$!
    PIDS+=("$pid")
    until_true 30 curl -sf "http://127.0.0.1:$ADMIN/readyz" -o /dev/null || { echo "$name: not ready"; tail -n 5 "$name.log"; exit 1; }
    for call in 1 2 3; do
        curl -s "http://127.0.0.1:$PROXY/mcp/nothing" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \
            -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2025-06-18' \
            -d "{\"jsonrpc\":\"2.0\",\"id\":$call,\"method\":\"tools/call\",\"params\":{\"name\":\"t$call\",\"arguments\":{}}}" -o /dev/null
    done
    behind() { "$BINARY" export status -c "$name.yaml" --json | jq -e '[.destinations[].behind] | add == 0' >/dev/null; }
    until_true 60 behind || { echo "$name: not delivered"; tail -n 5 "$name.log"; exit 1; }
    curl -sf "http://127.0.0.1:$ADMIN/metrics" >"$name.metrics"
    kill -TERM "$pid" && wait "$pid" || { echo "$name: ended badly"; tail -n 5 "$name.log"; exit 1; }
    [ "$(jq -c 'select(.event_type == "aarm.action")' "data-$name/sent.jsonl" | wc -l)" -ge 3 ] || { echo "$name: events are missing"; exit 1; }
}
# expect NAME FILTER: it holds for the action events of all calls but, where said so, the first.
expect() {
    jq -es "[.[] | select(.event_type == \"aarm.action\")] | length >= 3 and all(.[]; $2)" "data-$1/sent.jsonl" >/dev/null ||
        { echo "$1: $2 does not hold:"; jq -c 'select(.event_type == "aarm.action") | {enrichment_status, enrichment}' "data-$1/sent.jsonl"; exit 1; }
    echo "ldap $1: as expected"
}

BIND='bind_dn: "cn=admin,dc=acme,dc=example", password: { file: password }'
slapd_start
for way in "plain|url: \"ldap://127.0.0.1:$LDAP\"" "tls|url: \"ldaps://localhost:$LDAPS\", tls: { ca: ca.pem }" \
    "starttls|url: \"ldap://localhost:$LDAP\", start_tls: true, tls: { ca: ca.pem }"; do
    name=${way%%|*}
    run "$name" ann@acme.example "${way#*|}, $BIND"
    expect "$name" '.enrichment_status == "complete" and .enrichment.identity_human.department == "Treasury"
        and .enrichment.identity_human.manager == "uid=ben,ou=people,dc=acme,dc=example"
        and .enrichment.identity_human.location == "Vienna"
        and (.enrichment.identity_human.lookup | .source == "ldap" and .status == "found" and (.version | startswith("sha256:")))'
    grep -q 'countersign_enrichment_lookups_total{lookup="ldap",result="found"} 1$' "$name.metrics" ||
        { echo "$name: the directory was asked more than once"; grep enrichment "$name.metrics"; exit 1; }
    jq -es 'any(.[]; .class_uid == 6003 and .enrichments[0].data.department == "Treasury")' "data-$name/ocsf.jsonl" >/dev/null
done
# Two seconds are for a machine under load; a tenth of one, the default, may be over before the first answer.
LDAPURI="ldap://127.0.0.1:$LDAP" LDAPBASE=ou=people,dc=acme,dc=example run page ann@acme.example ''
jq -es '[.[] | select(.event_type == "aarm.action")][-1].enrichment.identity_human | .location == "Vienna" and .lookup.status == "found"' \
    data-page/sent.jsonl >/dev/null || { echo "page: not completed"; exit 1; }
echo "ldap page: as expected"
LOOKUP="url: \"ldap://127.0.0.1:$LDAP\", $BIND"
run nobody nobody@acme.example "$LOOKUP"
expect nobody '.enrichment_status == "complete" and .enrichment.identity_human.lookup.status == "not_found"'
run several shared@acme.example "$LOOKUP"
expect several '.enrichment.identity_human.lookup.status == "not_found"'
# A value is no part of a filter.
run injected '*)(uid=ann' "$LOOKUP"
expect injected '.enrichment.identity_human.lookup.status == "not_found"'
run wrong ann@acme.example "url: \"ldap://127.0.0.1:$LDAP\", bind_dn: \"cn=admin,dc=acme,dc=example\", password: { file: policy.yaml }"
expect wrong '.enrichment_status == "failed" and .enrichment.identity_human.lookup.status == "unavailable"'
# It takes connections and answers nothing.
kill -STOP "$DIRECTORY"
run stalled ann@acme.example "$LOOKUP"
expect stalled '.enrichment_status == "failed" and .enrichment.identity_human.lookup.status == "timeout"'
kill -CONT "$DIRECTORY"
kill "$DIRECTORY"
wait "$DIRECTORY" || true
run stopped ann@acme.example "$LOOKUP"
expect stopped '.enrichment_status == "failed" and .enrichment.identity_human.lookup.status == "unavailable"'
