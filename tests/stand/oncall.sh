#!/usr/bin/env bash
# Breaks what every alert is about, and asks a real Prometheus whether the alert is raised; asks it for every query of the
# dashboard as well.
#
#   tests/stand/oncall.sh TARGET WORK
#
# TARGET the build folder; WORK a folder for what the run leaves behind. The rules are those of examples/prometheus, with two
# ages shortened, since nobody waits a quarter of an hour here. An alert counts as raised once it is pending: how long each
# must last is what `promtool test rules` proves. The full disk is a file system in memory, in a mount namespace of its own.
set -euo pipefail

[ $# -eq 2 ] || { echo "usage: oncall.sh TARGET WORK" >&2; exit 2; }
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
EXAMPLES=$(cd "$HERE/../../examples" && pwd)
BINARY="$(cd "$1" && pwd)/debug/countersign"
rm -rf "${2:?}/oncall"
mkdir -p "$2/oncall/data-full"
WORK=$(cd "$2/oncall" && pwd)
cd "$WORK"
# shellcheck source=tests/stand/processes.sh
source "$HERE/processes.sh"
trap end_started EXIT

promtool check rules "$EXAMPLES/prometheus/countersign.rules.yaml" >rules.log || { cat rules.log; exit 1; }
(cd "$EXAMPLES/prometheus" && promtool test rules countersign.rules.test.yaml) >rules.log || { cat rules.log; exit 1; }
sed -e 's/age_seconds > 900$/age_seconds > 3/' -e 's/age_seconds > 60$/age_seconds > 3/' \
    "$EXAMPLES/prometheus/countersign.rules.yaml" >rules.yaml
[ "$(diff "$EXAMPLES/prometheus/countersign.rules.yaml" rules.yaml | grep -c '^>')" -eq 2 ] || { echo "the two ages are not found"; exit 1; }

# A receiver that answers with what stands in the file of the path's name.
RECEIVER=$(free_port)
cat >receiver.py <<'PY'
import http.server, pathlib, sys
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(int(pathlib.Path(self.path.strip("/")).read_text()))
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
PY
for name in refused rejected late; do echo 200 >"$name"; done
python3 receiver.py "$RECEIVER" >receiver.log 2>&1 </dev/null &
PIDS+=($!)

PROXY=$(free_port) ADMIN=$(free_port) FULL_PROXY=$(free_port) FULL_ADMIN=$(free_port) PROMETHEUS=$(free_port)
cat >good-policy.yaml <<'YAML'
policy: { id: all, version: "1" }
rules:
  - { id: never, match: { operation: [delete] }, action: DENY }
  - { id: else, match: {}, action: ALLOW }
YAML
cp good-policy.yaml policy.yaml
webhook() { echo "    - { type: webhook, name: $1, url: \"http://127.0.0.1:$RECEIVER/$1\", delivery: { linger_ms: 10, retry_cap_ms: 200, probe_interval_ms: 200 } }"; }
cat >countersign.yaml <<YAML
listen: 127.0.0.1:$PROXY
admin: { listen: "127.0.0.1:$ADMIN" }
data_dir: data
policies: [policy.yaml]
policies_reload_ms: 100
servers: { nothing: { url: "http://127.0.0.1:1/mcp" } }
telemetry:
  exporters:
    - { type: file, path: sent.jsonl }
$(webhook refused)
$(webhook rejected)
$(webhook late)
YAML
cat >full.yaml <<YAML
listen: 127.0.0.1:$FULL_PROXY
admin: { listen: "127.0.0.1:$FULL_ADMIN" }
data_dir: data-full
policies: [good-policy.yaml]
servers: { nothing: { url: "http://127.0.0.1:1/mcp" } }
record: { segment_bytes: 1048576, first_segment_bytes: 1048576, reserved_bytes: 0 }
YAML
cat >prometheus.yaml <<YAML
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [rules.yaml]
scrape_configs:
  - job_name: countersign
    static_configs: [{ targets: ["127.0.0.1:$ADMIN"] }]
  - job_name: full
    static_configs: [{ targets: ["127.0.0.1:$FULL_ADMIN"] }]
YAML
"$BINARY" run -q -c countersign.yaml >proxy.log 2>&1 </dev/null &
DOWN=$!
PIDS+=("$DOWN")
until_true 30 curl -sf "http://127.0.0.1:$ADMIN/readyz" -o /dev/null || { echo "the proxy is not ready"; tail -n 5 proxy.log; exit 1; }
prometheus --config.file=prometheus.yaml --storage.tsdb.path=tsdb --web.listen-address="127.0.0.1:$PROMETHEUS" \
    --log.level=warn >prometheus.log 2>&1 </dev/null &
PIDS+=($!)
until_true 30 curl -sf "http://127.0.0.1:$PROMETHEUS/-/ready" -o /dev/null || { echo "Prometheus is not ready"; tail -n 5 prometheus.log; exit 1; }

query() { curl -sf "http://127.0.0.1:$PROMETHEUS/api/v1/query" --data-urlencode "query=$1"; }
# has_data QUERY: there is a sample, and it is a number.
has_data() { query "$1" | jq -e '[.data.result[].value[1] | select(. != "NaN")] | length > 0' >/dev/null; }
raised() { query 'ALERTS{job!="full"}' | jq -r '.data.result[].metric.alertname' | sort -u; }
# expect ALERT: it is raised within a minute.
expect() {
    is_raised() { query "ALERTS{alertname=\"$1\"}" | jq -e '.data.result | length > 0' >/dev/null; }
    until_true 60 is_raised "$1" || { echo "$1 is not raised"; curl -s "http://127.0.0.1:${2:-$ADMIN}/metrics" | grep -E '^(countersign_(log|disk|check|pol)|aarm_telemetry_(dest|dead|old))'; exit 1; }
    RAISED="${RAISED:-} $1"
    echo "raised: $1"
}
calls() { python3 "$HERE/calls.py" "http://127.0.0.1:$1/mcp/nothing" "$2"; }

# Nothing is broken: no alert but about the disk, of which half a minute says little, and every panel has data.
calls "$PROXY" 200
until_true 60 has_data 'countersign_disk_bytes_per_action{job="countersign"}' || { echo "growth is not measured"; exit 1; }
calls "$PROXY" 50
until_true 60 has_data 'increase(aarm_telemetry_events_emitted_total{destination="late"}[10s]) > 0' || { echo "nothing is delivered"; exit 1; }
[ -z "$(raised | grep -v Disk)" ] || { echo "raised though nothing is broken: $(raised)"; exit 1; }
QUERIES=0
while IFS= read -r expression; do
    expression=${expression//\$instance/.*}
    expression=${expression//\$destination/.*}
    expression=${expression//\$__rate_interval/15s}
    # Where all is well, the panel of what is not well shows nothing but zeros.
    until_true 20 has_data "$expression" || { echo "the dashboard has a panel without data: $expression"; exit 1; }
    QUERIES=$((QUERIES + 1))
done < <(jq -r '.panels[].targets[]?.expr' "$EXAMPLES/grafana/countersign.json")
[ "$QUERIES" -gt 20 ] || { echo "the dashboard has $QUERIES queries"; exit 1; }
echo "dashboard: $QUERIES queries, all with data"
echo "measured: $(curl -sf "http://127.0.0.1:$ADMIN/metrics" | grep '^countersign_disk_bytes_per_action')"

echo 'policy: { id: all, version: "2" }' >policy.yaml
echo 'rules: [{ id: x, match: {}, action: PERHAPS }]' >>policy.yaml
expect CountersignReloadFailed
cp good-policy.yaml policy.yaml
mended() { ! raised | grep -q ReloadFailed; }
until_true 30 mended || { echo "CountersignReloadFailed stays"; exit 1; }

echo 401 >refused
echo 503 >late
echo 400 >rejected
calls "$PROXY" 3
expect CountersignDestinationParked
expect CountersignCursorOld
expect CountersignDeadLetters
for name in refused rejected late; do echo 200 >"$name"; done
kill -KILL "$DOWN"
expect CountersignDown

# A disk of 48 MiB. Who is not root has the namespace from the kernel.
NAMESPACE=(unshare -m)
[ "$(id -u)" -eq 0 ] || NAMESPACE=(unshare -rm)
# shellcheck disable=SC2016  # the inner shell's variables
"${NAMESPACE[@]}" bash -c 'mount -t tmpfs -o size=48m full "$1/data-full" && (
    while [ ! -e "$1/fill" ]; do sleep 0.2; done
    dd if=/dev/zero of="$1/data-full/filler" bs=64k 2>/dev/null
    touch "$1/filled") & cd "$1" && exec "$2" run -q -c full.yaml' - "$WORK" "$BINARY" >full.log 2>&1 </dev/null &
PIDS+=($!)
until_true 30 curl -sf "http://127.0.0.1:$FULL_ADMIN/readyz" -o /dev/null || { echo "no disk of its own, or the proxy is not ready:"; tail -n 5 full.log; exit 1; }
# Growth, as measured by the second look.
grown() { curl -s "http://127.0.0.1:$FULL_ADMIN/metrics" | grep -q '^countersign_disk_time_until_full_seconds [0-9]'; }
calls "$FULL_PROXY" 100
until_true 60 grown || { echo "growth is not measured"; exit 1; }
expect CountersignDiskFillsUp "$FULL_ADMIN"
expect CountersignDiskAlmostFull "$FULL_ADMIN"
touch fill
until_true 60 test -e filled || { echo "the disk is not full"; exit 1; }
refused() {
    calls "$FULL_PROXY" 200 >/dev/null 2>&1 || true
    curl -s "http://127.0.0.1:$FULL_ADMIN/metrics" | grep -q '^countersign_log_healthy 0'
}
until_true 60 refused || { echo "the log takes entries on a full disk"; exit 1; }
expect CountersignLogWriteFailed "$FULL_ADMIN"
expect CountersignCheckpointOld "$FULL_ADMIN"

for alert in $(grep -oP '(?<=alert: )\w+' "$EXAMPLES/prometheus/countersign.rules.yaml"); do
    case " $RAISED " in *" $alert "*) ;; *) echo "nothing raises $alert"; exit 1 ;; esac
done
# Each has its page.
while IFS= read -r page; do
    [ -s "$HERE/../../src/manual/$page.md" ] || { echo "there is no page $page"; exit 1; }
done < <(grep -oP '(?<=/manual/)\w+' "$EXAMPLES/prometheus/countersign.rules.yaml" | sort -u)
