#!/usr/bin/env bash
# DuckDB and pyarrow read the Parquet files of a short run: types, partitions, nested OCSF, counts.
#
#   tests/stand/parquet.sh SCRATCH TARGET WORK
#
# SCRATCH  the folder that install.sh filled; TARGET the build folder; WORK a folder for what the run leaves behind.
# moto stands for S3: batch files and the lake go to it and are read from there.
set -euo pipefail

[ $# -eq 3 ] || { echo "usage: parquet.sh SCRATCH TARGET WORK" >&2; exit 2; }
SCRATCH=$(cd "$1" && pwd)
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BINARY="$(cd "$2" && pwd)/debug/countersign"
mkdir -p "$3/parquet"
cd "$3/parquet"
WORK=$PWD
# shellcheck source=tests/stand/processes.sh
source "$HERE/processes.sh"
trap end_started EXIT

S3=$(free_port)
PROXY_PORT=$(free_port)
ADMIN_PORT=$(free_port)
"$SCRATCH/moto/bin/moto_server" -H 127.0.0.1 -p "$S3" >moto.log 2>&1 </dev/null &
PIDS+=($!)
until_true 60 curl -sf -X PUT "http://127.0.0.1:$S3/analysis" -o /dev/null || { echo "moto does not listen"; exit 1; }
curl -sf -X PUT "http://127.0.0.1:$S3/lake" -o /dev/null

printf 'policy: { id: all, version: "1" }\nrules:\n  - { id: never, match: { operation: [delete] }, action: DENY }\n  - { id: else, match: {}, action: ALLOW }\n' >policy.yaml
printf 'AKIDEXAMPLE' >key-id
printf 'not-a-real-key' >key
REACH="endpoint: 'http://127.0.0.1:$S3', region: eu-central-1, credentials: { access_key_id: { file: '$WORK/key-id' }, secret_access_key: { file: '$WORK/key' } }"
cat >countersign.yaml <<YAML
listen: 127.0.0.1:$PROXY_PORT
admin: { listen: "127.0.0.1:$ADMIN_PORT" }
data_dir: data
policies: [policy.yaml]
servers: { nothing: { url: "http://127.0.0.1:1/mcp" } }
telemetry:
  batch_export:
    enabled: true
    destination: s3://analysis/aarm/
    format: parquet
    interval: 1s
    partitioning: [date, event_type]
    s3: { $REACH }
  exporters:
    - { type: file, path: sent.jsonl }
    - { type: security_lake, bucket: lake, account_id: "123456789012", interval: 1s, s3: { $REACH } }
YAML
"$BINARY" run -q -c countersign.yaml >proxy.log 2>&1 </dev/null &
PROXY=$!
PIDS+=("$PROXY")
until_true 30 curl -sf "http://127.0.0.1:$ADMIN_PORT/readyz" -o /dev/null || { echo "the proxy is not ready"; tail -n 5 proxy.log; exit 1; }
for _ in 1 2 3; do
    python3 "$HERE/calls.py" "http://127.0.0.1:$PROXY_PORT/mcp/nothing" 60
    sleep 1.2
done
# The last range is complete ten seconds after its interval.
behind() { "$BINARY" export status -c countersign.yaml --json | jq -e '[.destinations[].behind] | add == 0' >/dev/null; }
until_true 90 behind || { echo "not written:"; "$BINARY" export status -c countersign.yaml; tail -n 5 proxy.log; exit 1; }
cp data/sent.jsonl sent.jsonl
kill -TERM "$PROXY"
wait "$PROXY" || { echo "the proxy ended badly"; tail -n 5 proxy.log; exit 1; }

"$SCRATCH/moto/bin/python" - "$S3" <<'PY'
import os, sys, boto3
s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", region_name="us-east-1",
                  aws_access_key_id="a", aws_secret_access_key="b")
for bucket in ("analysis", "lake"):
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", []):
            path = os.path.join(bucket, found["Key"])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
PY
"$SCRATCH/parquet/bin/python" "$HERE/parquet_read.py" "$WORK" "$HERE/../../examples/security-lake/queries.sql"
"$BINARY" receipts verify --data-dir data >/dev/null
