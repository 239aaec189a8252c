#!/usr/bin/env bash
# Puts the proxy in front of real servers and lets real peers at it.
#
#   tests/stand/through.sh conformance|clients|approvals|servers SCRATCH TARGET WORK
#
# SCRATCH  the folder that install.sh filled; TARGET the build folder; WORK a folder for what the run leaves behind.
# Every run ends with the audit of the proxy's log.
set -euo pipefail

[ $# -eq 4 ] || { echo "usage: through.sh conformance|clients|approvals|servers SCRATCH TARGET WORK" >&2; exit 2; }
WHAT=$1
SCRATCH=$(cd "$2" && pwd)
TARGET=$(cd "$3" && pwd)
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$4/$WHAT"
WORK=$(cd "$4/$WHAT" && pwd)
STATE="$WORK/state"
BINARY="$TARGET/debug/countersign"

free_port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

finish() {
    "$HERE/servers.sh" stop "$STATE" || true
    [ -n "${APPROVER:-}" ] && kill "$APPROVER" 2>/dev/null || true
    [ -n "${PROXY:-}" ] && kill -KILL "$PROXY" 2>/dev/null || true
}
trap finish EXIT

# proxy SERVERS POLICY: starts the proxy; sets PROXY (its pid), URL (its base), ADMIN (its admin API) and TOKEN. PEOPLE is
# added under `admin:`, APPROVE to the file.
proxy() {
    local port admin polls=0 key
    port=$(free_port)
    admin=$(free_port)
    key=$("$BINARY" keys new stand --json)
    TOKEN=$(jq -r .key <<<"$key")
    [ -n "${IDENTITY:-}" ] || IDENTITY="api_keys: [{ name: stand, hash: \"$(jq -r .hash <<<"$key")\", human: alice@example.com, service: stand, agent: stand }]"
    printf '%s\n' "$2" >"$WORK/policy.yaml"
    cat >"$WORK/countersign.yaml" <<YAML
listen: 127.0.0.1:$port
admin: { listen: "127.0.0.1:$admin"${PEOPLE:-} }
${APPROVE:-}
data_dir: data
policies: [policy.yaml]
policy: { schema: off, unknown_schema: allow }
identity:
  $IDENTITY
servers:
$1
YAML
    "$BINARY" run -c "$WORK/countersign.yaml" >"$WORK/proxy.log" 2>&1 </dev/null &
    PROXY=$!
    until (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        kill -0 "$PROXY" 2>/dev/null || { tail -n 5 "$WORK/proxy.log"; exit 1; }
        polls=$((polls + 1))
        [ "$polls" -lt 300 ] || { echo "the proxy does not listen"; exit 1; }
        sleep 0.05
    done
    URL="http://127.0.0.1:$port"
    ADMIN="http://127.0.0.1:$admin"
}

# Stops the proxy in order and verifies everything it wrote.
audit() {
    kill -TERM "$PROXY"
    wait "$PROXY" || { echo "the proxy ended badly"; tail -n 5 "$WORK/proxy.log"; exit 1; }
    PROXY=
    "$BINARY" receipts verify --data-dir "$WORK/data"
}

ALLOW_ALL='policy: { id: all, version: "1" }
rules:
  - { id: everything, match: {}, action: ALLOW }'

case $WHAT in
    conformance)
        direct=$("$HERE/servers.sh" conformance "$TARGET/debug/examples/conformance-server" "$STATE")
        # The suite shows no credential; nobody is verified, which loopback permits and every entry says.
        IDENTITY="unverified: flag" proxy "  fixture: { url: \"$direct\" }" "$ALLOW_ALL"
        "$HERE/conformance.sh" "$SCRATCH" "$direct" "$URL/mcp/fixture" "$WORK/results"
        audit
        ;;
    clients)
        direct=$("$HERE/servers.sh" conformance "$TARGET/debug/examples/conformance-server" "$STATE")
        proxy "  fixture: { url: \"$direct\" }" 'policy: { id: stand, version: "1" }
rules:
  - { id: no-images, match: { operation: test_image_content }, action: DENY, priority: 10, reason: "images are not for this agent" }
  - { id: everything-else, match: {}, action: ALLOW }'
        COUNTERSIGN_TOKEN=$TOKEN DENIED_TOOL=test_image_content DENIED_TOOL_ARGUMENTS='{}' \
            DENIED_TEXT="Countersign denied" "$HERE/../clients/run.sh" "$SCRATCH" "$URL/mcp/fixture"
        audit
        ;;
    approvals)
        direct=$("$HERE/servers.sh" conformance "$TARGET/debug/examples/conformance-server" "$STATE")
        person=$("$BINARY" keys admin ann --json)
        export COUNTERSIGN_ADMIN_TOKEN
        COUNTERSIGN_ADMIN_TOKEN=$(jq -r .token <<<"$person")
        PEOPLE=", tokens: [$(jq -c .entry <<<"$person" | sed 's/"tenant":null,//')]" APPROVE="approve: {}" \
            proxy "  fixture: { url: \"$direct\" }" 'policy: { id: stand, version: "1" }
rules:
  - { id: several, match: { operation: test_multiple_content_types }, action: STEP_UP, reason: "several things need a person" }
  - { id: everything-else, match: {}, action: ALLOW }'
        export COUNTERSIGN_ADMIN_URL=$ADMIN
        # Says yes to whatever has waited for 30 s.
        while sleep 1; do
            "$BINARY" approvals list --json |
                jq -r '.items[] | select(now - (.requested | sub("[.][0-9]+Z"; "Z") | fromdateiso8601) >= 30) | .id' |
                while read -r id; do "$BINARY" approvals approve "$id" >/dev/null; done
        done &
        APPROVER=$!
        # ask CLIENT: runs one client, whose call is its own; prints what it was told.
        ask() {
            COUNTERSIGN_TOKEN=$TOKEN DENIED_TOOL=test_multiple_content_types DENIED_ARGS="{\"asked_by\":\"$1\"}" \
                CLIENTS_OUT="$WORK/finding" "$HERE/../clients/run.sh" "$SCRATCH" "$URL/mcp/fixture" "$1" >"$WORK/table" ||
                { cat "$WORK/table"; return 1; }
            cat "$WORK/finding"
        }
        for client in py_v2 ts_v2; do
            ask "$client" | jq -e '.survived and .denied.is_error == false' >/dev/null ||
                { echo "$client did not wait: $(cat "$WORK/finding")"; exit 1; }
            echo "$client waited 30 s in rounds and has its answer"
        done
        pending=(py_v2:legacy ts_v2:legacy py_v1 ts_v1 langchain_agent openai_agent)
        for client in "${pending[@]}"; do
            ask "$client" | jq -e '.survived and (.denied.text | contains("Approval pending"))' >/dev/null ||
                { echo "$client was not told that it waits: $(cat "$WORK/finding")"; exit 1; }
        done
        until [ "$("$BINARY" approvals list --json | jq .total)" -eq 0 ]; do sleep 1; done
        # One SDK does not tell its user whether a result is an error: there the text has to be the tool's own.
        answered='.survived and (.denied.is_error == false or
            (.denied.is_error == null and (.denied.text | contains("Multiple content types"))))'
        for client in "${pending[@]}"; do
            ask "$client" | jq -e "$answered" >/dev/null ||
                { echo "$client did not get its answer: $(cat "$WORK/finding")"; exit 1; }
            echo "$client was told that it waits, lived, and has its answer"
        done
        kill "$APPROVER"
        audit
        ;;
    servers)
        everything=$("$HERE/servers.sh" everything "$SCRATCH" "$STATE")
        mkdir -p "$WORK/files"
        echo "hello from the file" >"$WORK/files/hello.txt"
        proxy "  everything: { url: \"$everything\" }
  files: { command: [\"$HERE/servers.sh\", filesystem, \"$SCRATCH\", \"$WORK/files\"] }" "$ALLOW_ALL"
        COUNTERSIGN_TOKEN=$TOKEN python3 "$HERE/servers.py" "$URL" "$WORK/files/hello.txt"
        audit
        ;;
    *) echo "through.sh: no $WHAT" >&2; exit 2 ;;
esac
