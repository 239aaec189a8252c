#!/usr/bin/env bash
# One countersign with everything that AARM's telemetry page configures: Splunk, S3, Kafka, a webhook, Kinesis, files for
# later, people from a directory and assets from an inventory. Every event is accounted for at each receiver.
#
#   tests/stand/seed_page.sh SCRATCH TARGET WORK DATA
#
# SCRATCH the folder that install.sh filled; TARGET the build folder of a program with `--features full`; WORK a folder for
# what the run leaves behind; DATA where the page's own examples are. Only places are changed in them, and the hour of the
# batch export. slapd is a real one, and so is the Kafka broker, which is killed in the middle; moto stands for AWS; the
# collector and the webhook are stubs with TLS that refuse every fourth request for the moment.
set -euo pipefail
PATH="$PATH:/usr/sbin"

[ $# -eq 4 ] || { echo "usage: seed_page.sh SCRATCH TARGET WORK DATA" >&2; exit 2; }
SCRATCH=$(cd "$1" && pwd)
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BINARY="$(cd "$2" && pwd)/debug/countersign"
DATA=$(cd "$4" && pwd)
rm -rf "${3:?}/seed_page"
mkdir -p "$3/seed_page"
WORK=$(cd "$3/seed_page" && pwd)
cd "$WORK"
# shellcheck source=tests/stand/processes.sh
source "$HERE/processes.sh"
# shellcheck source=tests/stand/slapd.sh
source "$HERE/slapd.sh"
# shellcheck source=tests/stand/kafka.sh
source "$HERE/kafka.sh"
trap end_started EXIT

AWS=$(free_port)
PROXY_PORT=$(free_port)
ADMIN_PORT=$(free_port)
localhost_certificate
slapd_prepare
slapd_start
kafka_prepare
kafka_start
"$SCRATCH/kafka_client/bin/python" "$HERE/kafka_topic.py" create "127.0.0.1:$KAFKA_PLAIN" aarm-events
"$SCRATCH/moto/bin/moto_server" -H 127.0.0.1 -p "$AWS" >moto.log 2>&1 </dev/null &
PIDS+=($!)
until_true 60 curl -sf -X PUT "http://127.0.0.1:$AWS/security-logs" -o /dev/null || { echo "moto does not listen"; exit 1; }
"$SCRATCH/moto/bin/python" - "$AWS" <<'PY'
import sys, boto3
boto3.client("kinesis", endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", region_name="us-east-1", aws_access_key_id="a",
             aws_secret_access_key="b").create_stream(StreamName="aarm-events", ShardCount=2)
PY
python3 "$HERE/seed_page.py" receive server.pem server.key "$WORK" >ports 2>receive.log </dev/null &
PIDS+=($!)
until_true 30 test -s ports || { echo "the receivers do not listen"; cat receive.log; exit 1; }
read -r HEC WEBHOOK <ports

printf 'policy: { id: all, version: "1" }\nrules:\n  - { id: never, match: { operation: [delete] }, action: DENY }\n  - { id: else, match: {}, action: ALLOW }\n' >policy.yaml
printf 'tool,asset_criticality,data_owner\nnothing,high,treasury\n' >assets.csv
read -r KEY HASH < <("$BINARY" keys new stand --json | jq -r '"\(.key) \(.hash)"')
PLACES=$(jq -n --arg ca "$WORK/ca.pem" --arg hec "https://localhost:$HEC" --arg hook "https://localhost:$WEBHOOK/api/events" \
    --arg kafka "127.0.0.1:$KAFKA_PLAIN" --arg aws "http://127.0.0.1:$AWS" --arg assets "$WORK/assets.csv" '{
        exporters: {
            splunk_hec: { url: $hec, http: { tls: { ca: $ca } } },
            webhook: { url: $hook, http: { tls: { ca: $ca } } },
            kafka: { brokers: [$kafka, "127.0.0.1:1"] },
            aws_kinesis: { endpoint: $aws } },
        lookups: { timeout_ms: 2000, asset_inventory: { file: $assets },
            ldap: { attributes: { department: "departmentNumber", location: "l" } } } }')
"$SCRATCH/moto/bin/python" "$HERE/seed_page.py" compose "$DATA" "$PLACES" >page.json
cat >countersign.yaml <<YAML
listen: 127.0.0.1:$PROXY_PORT
admin: { listen: "127.0.0.1:$ADMIN_PORT" }
data_dir: data
policies: [policy.yaml]
identity: { api_keys: [{ name: stand, hash: "$HASH", human: ann@acme.example, agent: stand }] }
agents: [{ id: stand, owner: ann@acme.example, servers: [nothing] }]
policy: { unknown_schema: allow }
servers: { nothing: { url: "http://127.0.0.1:1/mcp" } }
telemetry: $(jq -c .telemetry page.json)
batch_export: $(jq -c .batch_export page.json)
YAML
# The page's own names of secrets; where AWS and the directory are, the variables of their own tools tell.
export SPLUNK_HEC_TOKEN=hec-token-of-the-stand SIEM_TOKEN=siem-token-of-the-stand
export AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=not-a-real-key AWS_ENDPOINT_URL_S3="http://127.0.0.1:$AWS"
export LDAPURI="ldap://127.0.0.1:$LDAP" LDAPBASE=ou=people,dc=acme,dc=example
"$BINARY" config check -c countersign.yaml >check.log 2>&1 || { cat check.log; exit 1; }
"$BINARY" run -q -c countersign.yaml >proxy.log 2>&1 </dev/null &
PROXY=$!
PIDS+=("$PROXY")
until_true 30 curl -sf "http://127.0.0.1:$ADMIN_PORT/readyz" -o /dev/null || { echo "the proxy is not ready"; tail -n 5 proxy.log; exit 1; }
calls() { python3 "$HERE/calls.py" "http://127.0.0.1:$PROXY_PORT/mcp/nothing" "$1" "$KEY"; }
calls 60
# The broker dies while events leave, and comes back behind more of them.
calls 60 &
CALLING=$!
kafka_kill
wait "$CALLING"
# Allowed, and so of no severity: the page's filter keeps the events of these back.
for call in 1 2 3 4 5 6 7 8 9 10; do
    curl -s "http://127.0.0.1:$PROXY_PORT/mcp/nothing" -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
        -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2025-06-18' -o /dev/null \
        -d "{\"jsonrpc\":\"2.0\",\"id\":$call,\"method\":\"tools/call\",\"params\":{\"name\":\"t$call\",\"arguments\":{}}}"
done
kafka_start
calls 60
behind() { "$BINARY" export status -c countersign.yaml --json | jq -e '[.destinations[].behind] | add == 0' >/dev/null; }
until_true 120 behind || { echo "not delivered:"; "$BINARY" export status -c countersign.yaml; tail -n 5 proxy.log; exit 1; }
cp data/sent.jsonl settled.jsonl
"$BINARY" export status -c countersign.yaml --json >status.json
jq -e '.destinations | length == 7 and all(.[]; .counts.dead == 0 and .counts.skipped == 0)' status.json >/dev/null ||
    { echo "events became dead letters or were left out:"; cat status.json; exit 1; }
kill -TERM "$PROXY"
wait "$PROXY" || { echo "the proxy ended badly"; tail -n 5 proxy.log; exit 1; }

"$SCRATCH/kafka_client/bin/python" "$HERE/kafka_topic.py" dump "127.0.0.1:$KAFKA_PLAIN" aarm-events >kafka.events
"$SCRATCH/moto/bin/python" - "$AWS" <<'PY'
import gzip, os, sys, boto3
account = dict(endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", region_name="us-east-1",
               aws_access_key_id="a", aws_secret_access_key="b")
s3, kinesis = boto3.client("s3", **account), boto3.client("kinesis", **account)
with open("s3.events", "w") as out:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="security-logs", Prefix="aarm/"):
        for key in (found["Key"] for found in page.get("Contents", [])):
            body = s3.get_object(Bucket="security-logs", Key=key)["Body"].read()
            if key.endswith(".json.gz"):
                out.write(gzip.decompress(body).decode())
                continue
            path = os.path.join("files", key)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(body)
with open("aws_kinesis.events", "w") as out:
    for shard in kinesis.list_shards(StreamName="aarm-events")["Shards"]:
        place = kinesis.get_shard_iterator(StreamName="aarm-events", ShardId=shard["ShardId"],
                                           ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while place:
            page = kinesis.get_records(ShardIterator=place, Limit=1000)
            out.writelines(record["Data"].decode() + "\n" for record in page["Records"])
            place = page.get("NextShardIterator") if page["Records"] else None
PY
"$SCRATCH/parquet/bin/python" "$HERE/seed_page.py" check "$WORK"
"$BINARY" receipts verify --data-dir data >/dev/null
