#!/usr/bin/env bash
# Sends the events of a short run to real receivers and compares what they understood with what was sent.
#
#   tests/stand/exporters.sh SCRATCH TARGET WORK
#
# SCRATCH  the folder that install.sh filled; TARGET the build folder; WORK a folder for what the run leaves behind.
# Receivers: rsyslog over UDP, TCP and TLS (its own parser says what the fields are) and as the Service Gateway of Trend
# Vision One, moto as S3, Kinesis and Firehose (plainly, and as the way into
# Security Lake), Apache Kafka plainly and with TLS and SCRAM, whose broker is killed and comes
# back in the middle, refuses a password, and finds events too large, and the OpenTelemetry collector over HTTP, gRPC and
# syslog. Beside them promtool reads the metrics. Everything from Kafka on only where COUNTERSIGN_TEST_FULL is set.
set -euo pipefail
PATH="$PATH:/usr/sbin"

[ $# -eq 3 ] || { echo "usage: exporters.sh SCRATCH TARGET WORK" >&2; exit 2; }
SCRATCH=$(cd "$1" && pwd)
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BINARY="$(cd "$2" && pwd)/debug/countersign"
rm -rf "${3:?}/exporters"
mkdir -p "$3/exporters"
WORK=$(cd "$3/exporters" && pwd)
CALLS=400
# shellcheck source=tests/stand/processes.sh
source "$HERE/processes.sh"

trap end_started EXIT

UDP=$(free_port)
TCP=$(free_port)
TLS=$(free_port)
GATEWAY=$(free_port)
S3=$(free_port)
PROXY_PORT=$(free_port)
ADMIN_PORT=$(free_port)
cd "$WORK"
# Kafka and the collector take a program with every feature, and minutes to install: `tests/run --full` brings them.
NAMES=(udp tcp tls s3 kinesis firehose lake gateway)
if [ -n "${COUNTERSIGN_TEST_FULL:-}" ]; then
    NAMES+=(kafka kafka-tls kafka-refused kafka-small otlp-http otlp-grpc)
    # shellcheck source=tests/stand/kafka.sh
    source "$HERE/kafka.sh"
    # shellcheck source=tests/stand/collector.sh
    source "$HERE/collector.sh"
else
    for absent in kafka_{prepare,start,create,kill,exporters,refused,check} collector_{start,exporters,check}; do
        eval "$absent() { :; }"
    done
    echo "Kafka, the OpenTelemetry collector and promtool: left out, tests/run --full has them"
fi

localhost_certificate

cat >rsyslog.conf <<CONF
global(workDirectory="$WORK" maxMessageSize="64k" defaultNetstreamDriverCAFile="$WORK/ca.pem"
       defaultNetstreamDriverCertFile="$WORK/server.pem" defaultNetstreamDriverKeyFile="$WORK/server.key")
module(load="imudp")
module(load="imptcp")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
template(name="parsed" type="list" option.jsonf="on") {
    property(outname="facility" name="syslogfacility" format="jsonf")
    property(outname="severity" name="syslogseverity" format="jsonf")
    property(outname="version" name="protocol-version" format="jsonf")
    property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="host" name="hostname" format="jsonf")
    property(outname="app" name="app-name" format="jsonf")
    property(outname="type" name="msgid" format="jsonf")
    property(outname="text" name="msg" format="jsonf")
}
ruleset(name="udp") { action(type="omfile" file="$WORK/udp.jsonl" template="parsed") }
ruleset(name="tcp") { action(type="omfile" file="$WORK/tcp.jsonl" template="parsed") }
ruleset(name="tls") { action(type="omfile" file="$WORK/tls.jsonl" template="parsed") }
input(type="imudp" address="127.0.0.1" port="$UDP" ruleset="udp")
input(type="imptcp" address="127.0.0.1" port="$TCP" ruleset="tcp")
input(type="imtcp" address="127.0.0.1" port="$TLS" ruleset="tls")
ruleset(name="gateway") { action(type="omfile" file="$WORK/gateway.jsonl" template="parsed") }
input(type="imtcp" address="127.0.0.1" port="$GATEWAY" ruleset="gateway")
CONF
rsyslogd -n -f rsyslog.conf -i "$WORK/rsyslog.pid" >rsyslog.log 2>&1 </dev/null &
PIDS+=($!)
"$SCRATCH/moto/bin/moto_server" -H 127.0.0.1 -p "$S3" >moto.log 2>&1 </dev/null &
PIDS+=($!)
until_true 30 bash -c ": >/dev/tcp/127.0.0.1/$TLS" || { echo "rsyslog does not listen"; tail -n 5 rsyslog.log; exit 1; }
until_true 60 curl -sf -X PUT "http://127.0.0.1:$S3/security-logs" -o /dev/null || { echo "moto does not listen"; exit 1; }
"$SCRATCH/moto/bin/python" - "$S3" <<'PY'
import sys, boto3
account = dict(endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", region_name="us-east-1",
               aws_access_key_id="a", aws_secret_access_key="b")
boto3.client("kinesis", **account).create_stream(StreamName="aarm-events", ShardCount=2)
streams = {"aarm-delivery": "firehose/"}
# A source of the lake for each class, as the lake demands.
streams |= {f"lake-AARM-{uid}": f"ext/AARM-{uid}/" for uid in (6003, 2004, 3003, 3004, 6002)}
for name, prefix in streams.items():
    boto3.client("firehose", **account).create_delivery_stream(
        DeliveryStreamName=name,
        S3DestinationConfiguration=dict(RoleARN="arn:aws:iam::123456789012:role/firehose",
                                        BucketARN="arn:aws:s3:::security-logs", Prefix=prefix))
PY

curl -sf -X PUT -H "x-amz-bucket-object-lock-enabled: true" "http://127.0.0.1:$S3/log-archive" -o /dev/null

kafka_prepare
kafka_start
kafka_create
collector_start

printf 'policy: { id: all, version: "1" }\nrules:\n  - { id: never, match: { operation: [delete] }, action: DENY }\n  - { id: else, match: {}, action: ALLOW }\n' >policy.yaml
printf 'AKIDEXAMPLE' >key-id
printf 'not-a-real-key' >key
printf '[stand]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = not-a-real-key\n' >profiles
cat >countersign.yaml <<YAML
listen: 127.0.0.1:$PROXY_PORT
admin: { listen: "127.0.0.1:$ADMIN_PORT" }
data_dir: data
policies: [policy.yaml]
servers: { nothing: { url: "http://127.0.0.1:1/mcp" } }
telemetry:
  exporters:
    - { type: file, path: sent.jsonl }
    # A burst is more than a socket holds, and nobody is told: over UDP only what is rare.
    - type: syslog
      name: udp
      address: "127.0.0.1:$UDP"
      transport: udp
      filters: { event_type: [aarm.control, aarm.policy, aarm.system] }
    - { type: syslog, name: tcp, address: "127.0.0.1:$TCP", transport: tcp, app_name: stand }
    - { type: syslog, name: tls, address: "localhost:$TLS", tls: { ca: "$WORK/ca.pem" } }
    - type: s3
      bucket: security-logs
      prefix: aarm/
      endpoint: "http://127.0.0.1:$S3"
      partitioning: [date, event_type]
      credentials: { access_key_id: { file: "$WORK/key-id" }, secret_access_key: { file: "$WORK/key" } }
      delivery: { linger_ms: 100 }
    - type: aws_kinesis
      name: kinesis
      stream: aarm-events
      endpoint: "http://127.0.0.1:$S3"
      credentials: { profile: stand, profile_file: "$WORK/profiles" }
    - type: aws_firehose
      name: firehose
      stream: aarm-delivery
      endpoint: "http://127.0.0.1:$S3"
      credentials: { profile: stand, profile_file: "$WORK/profiles" }
    # Which way events go and where to, its variables say.
    - type: security_lake
      name: lake
      firehose:
        endpoint: "http://127.0.0.1:$S3"
        credentials: { profile: stand, profile_file: "$WORK/profiles" }
    - type: trend_vision_one
      name: gateway
      schema: cef
      address: "localhost:$GATEWAY"
      tls: { ca: "$WORK/ca.pem" }
    - type: archive
      destination: s3://log-archive/hosts/
      interval: 200ms
      s3:
        endpoint: "http://127.0.0.1:$S3"
        credentials: { access_key_id: { file: "$WORK/key-id" }, secret_access_key: { file: "$WORK/key" } }
        lock_days: 30
$(kafka_exporters)
$(collector_exporters)
YAML
export SECURITY_LAKE_APPROACH=firehose SECURITY_LAKE_FIREHOSE=lake-AARM
"$BINARY" run -q -c countersign.yaml >proxy.log 2>&1 </dev/null &
PROXY=$!
PIDS+=("$PROXY")
until_true 30 curl -sf "http://127.0.0.1:$ADMIN_PORT/readyz" -o /dev/null || { echo "the proxy is not ready"; tail -n 5 proxy.log; exit 1; }
calls() { python3 "$HERE/calls.py" "http://127.0.0.1:$PROXY_PORT/mcp/nothing" "$1"; }
calls $((CALLS / 4))
# The broker dies while events leave, and comes back behind more of them.
calls $((CALLS / 4)) &
CALLING=$!
kafka_kill
wait "$CALLING"
calls $((CALLS / 2))
kafka_start
kafka_refused
behind() { "$BINARY" export status -c countersign.yaml --json | jq -e '[.destinations[].behind] | add == 0' >/dev/null; }
until_true 120 behind || { echo "not delivered:"; "$BINARY" export status -c countersign.yaml; tail -n 5 proxy.log; exit 1; }
for name in "${NAMES[@]}"; do
    "$BINARY" export test "$name" -c countersign.yaml --json | tee -a tested.jsonl | jq -e .taken >/dev/null
done
curl -sf "http://127.0.0.1:$ADMIN_PORT/metrics" >metrics.txt
[ -z "${COUNTERSIGN_TEST_FULL:-}" ] || promtool check metrics <metrics.txt || { echo "promtool finds fault with the metrics"; exit 1; }
for name in "${NAMES[@]}"; do
    grep -q "^aarm_telemetry_events_emitted_total{destination=\"$name\"}" metrics.txt || { echo "no metrics of $name"; exit 1; }
done
kill -TERM "$PROXY"
wait "$PROXY" || { echo "the proxy ended badly"; tail -n 5 proxy.log; exit 1; }

# ids FILE: the event ids of JSON lines, sorted; the test events left out.
ids() { jq -r 'select(.receipt.index < 9007199254740991) | .event_id' "$1" | sort -u; }
ids data/sent.jsonl >wanted
jq -c 'select(.event_type | IN("aarm.control", "aarm.policy", "aarm.system"))' data/sent.jsonl >rare.jsonl
ids rare.jsonl >wanted-udp
[ -s wanted-udp ] || { echo "nothing was sent"; exit 1; }
for name in udp tcp tls; do
    # What rsyslog's parser made of the headers.
    jq -e --arg app "$([ "$name" = tcp ] && echo stand || echo countersign)" -s \
        'all(.[]; .facility == "13" and .version == "1" and .app == $app and .host == "localhost"
            and (.type | startswith("aarm.")) and (.time | endswith("Z") or endswith("+00:00"))
            and ((.text | ltrimstr(" ") | fromjson).event_type == .type))' "$name.jsonl" >/dev/null ||
        { echo "$name: rsyslog understood something else:"; head -n 2 "$name.jsonl"; exit 1; }
    jq -c '.text | ltrimstr(" ") | fromjson' "$name.jsonl" >"$name.events"
    ids "$name.events" >"$name.ids"
    # The last entry, `stop`, may come after the end of a datagram's way.
    wanted=$([ "$name" = udp ] && echo wanted-udp || echo wanted)
    [ -z "$(comm -13 "$name.ids" "$wanted")" ] || { echo "$name: missing:"; comm -13 "$name.ids" "$wanted" | head -n 3; exit 1; }
    grep -q '"export_test"' "$name.events" || { echo "$name: no test event"; exit 1; }
    echo "rsyslog $name: $(wc -l <"$name.ids") events"
done
"$SCRATCH/moto/bin/python" - "$S3" >s3.events <<'PY'
import gzip, sys, boto3
s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", region_name="us-east-1",
                  aws_access_key_id="a", aws_secret_access_key="b")
for page in s3.get_paginator("list_objects_v2").paginate(Bucket="security-logs", Prefix="aarm/date="):
    for found in page.get("Contents", []):
        body = s3.get_object(Bucket="security-logs", Key=found["Key"])["Body"].read()
        sys.stdout.write(gzip.decompress(body).decode())
PY
ids s3.events >s3.ids
[ -z "$(comm -13 s3.ids wanted)" ] || { echo "s3: missing:"; comm -13 s3.ids wanted | head -n 3; exit 1; }
echo "moto s3: $(wc -l <s3.ids) events"
"$SCRATCH/moto/bin/python" - "$S3" <<'PY'
import sys, boto3
account = dict(endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", region_name="us-east-1",
               aws_access_key_id="a", aws_secret_access_key="b")
kinesis, s3 = boto3.client("kinesis", **account), boto3.client("s3", **account)
with open("kinesis.events", "w") as out:
    for shard in kinesis.list_shards(StreamName="aarm-events")["Shards"]:
        place = kinesis.get_shard_iterator(StreamName="aarm-events", ShardId=shard["ShardId"],
                                           ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while place:
            page = kinesis.get_records(ShardIterator=place, Limit=1000)
            out.writelines(record["Data"].decode() + "\n" for record in page["Records"])
            place = page.get("NextShardIterator") if page["Records"] else None
with open("firehose.events", "w") as out:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="security-logs", Prefix="firehose/"):
        for found in page.get("Contents", []):
            out.write(s3.get_object(Bucket="security-logs", Key=found["Key"])["Body"].read().decode())
PY
"$SCRATCH/moto/bin/python" - "$S3" <<'PY'
import json, sys, boto3
s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", region_name="us-east-1",
                  aws_access_key_id="a", aws_secret_access_key="b")
classes = set()
with open("lake.events", "w") as out:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="security-logs", Prefix="ext/AARM-"):
        for key in (found["Key"] for found in page.get("Contents", [])):
            for line in s3.get_object(Bucket="security-logs", Key=key)["Body"].read().decode().splitlines():
                event = json.loads(line)
                assert key.startswith(f"ext/AARM-{event['class_uid']}/"), key
                classes.add(event["class_uid"])
                # The id and the place, where the others have them.
                own = json.loads(event["unmapped"])["aarm"]
                line = {"event_id": event["metadata"]["uid"], "receipt": own["receipt"], "event": event}
                out.write(json.dumps(line) + "\n")
assert len(classes) > 1, classes
PY
for name in kinesis firehose lake; do
    ids "$name.events" >"$name.ids"
    [ -z "$(comm -13 "$name.ids" wanted)" ] || { echo "$name: missing:"; comm -13 "$name.ids" wanted | head -n 3; exit 1; }
    grep -q '"export_test"' "$name.events" || { echo "$name: no test event"; exit 1; }
    echo "moto $name: $(wc -l <"$name.ids") events"
done
# The gateway: CEF behind the older header, as rsyslog's parser takes it apart.
jq -e -s 'all(.[]; .app == "countersign" and (.text | ltrimstr(" ") | startswith("CEF:0|Countersign|")))' \
    gateway.jsonl >/dev/null || { echo "gateway: rsyslog understood something else:"; head -n 2 gateway.jsonl; exit 1; }
jq -r '.text | capture("externalId=(?<id>[^ ]+)").id' gateway.jsonl | sort -u >gateway.ids
[ -z "$(comm -13 gateway.ids wanted)" ] || { echo "gateway: missing:"; comm -13 gateway.ids wanted | head -n 3; exit 1; }
echo "rsyslog gateway: $(wc -l <gateway.ids) events"
kafka_check
collector_check
# The archive alone: the data directory plays no part in it.
"$BINARY" receipts verify -c countersign.yaml --archive s3://log-archive/hosts/ --json >archived.json ||
    { echo "the archive does not verify:"; head -c 2000 archived.json; exit 1; }
jq -e --slurpfile own <("$BINARY" receipts verify --data-dir data --json) \
    '.problems_total == 0 and .origin == $own[0].origin and .size > 0.9 * $own[0].size' archived.json >/dev/null ||
    { echo "the archive lacks entries"; jq '{origin, size}' archived.json; exit 1; }
"$SCRATCH/moto/bin/python" - "$S3" <<'PY'
import sys, boto3
s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", region_name="us-east-1",
                  aws_access_key_id="a", aws_secret_access_key="b")
found = s3.list_objects_v2(Bucket="log-archive", Prefix="hosts/")["Contents"]
for each in found[:20]:
    about = s3.head_object(Bucket="log-archive", Key=each["Key"])
    assert about["ObjectLockMode"] == "COMPLIANCE", about
    versions = s3.list_object_versions(Bucket="log-archive", Prefix=each["Key"])["Versions"]
    assert len([v for v in versions if v["Key"] == each["Key"]]) == 1, "written twice"
print(f"moto archive: {len(found)} objects, locked")
PY
"$BINARY" receipts verify --data-dir data >/dev/null
