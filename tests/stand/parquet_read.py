"""Reads the Parquet files of a run with DuckDB and pyarrow and compares them with the events that a file got.

    parquet_read.py FOLDER QUERIES

FOLDER holds analysis/ (batch files), lake/ (Security Lake) and sent.jsonl (the events, schema aarm); QUERIES is SQL.
"""

import glob
import json
import sys

import duckdb
import pyarrow.parquet as pq
import pyarrow.types as types

folder, queries = sys.argv[1], sys.argv[2]
sent = {}
with open(f"{folder}/sent.jsonl") as lines:
    for line in lines:
        event = json.loads(line)
        sent[event["event_id"]] = event
db = duckdb.connect()


def check(holds, what):
    if not holds:
        sys.exit(f"parquet: {what}")


# Batch files: partitions become columns, every event is there once, and columns say what the raw event says.
db.execute(
    f"CREATE VIEW batch AS SELECT * FROM read_parquet('{folder}/analysis/aarm/**/*.parquet', hive_partitioning=true)"
)
rows = db.execute(
    "SELECT event_id, event_type, CAST(date AS VARCHAR), epoch_ms(time), severity, decision, blocked, raw_event FROM batch"
).fetchall()
ids = [row[0] for row in rows]
check(len(ids) == len(set(ids)), "an event is there twice")
missing = set(sent) - set(ids)
check(not missing, f"{len(missing)} of {len(sent)} events are missing: {sorted(missing)[:2]}")
for event_id, event_type, date, time, severity, decision, blocked, raw in rows:
    raw = json.loads(raw)
    check(event_type == raw["event_type"] and severity == raw["severity"], f"{event_id}: columns differ from the event")
    check(date == raw["timestamp"][:10], f"{event_id}: partition {date}")
    check(event_id not in sent or sent[event_id] == raw, f"{event_id}: not the event that was sent")
    if decision is not None:
        check(blocked == (decision == "DENY"), f"{event_id}: blocked {blocked} for {decision}")
kinds = dict(db.execute("SELECT column_name, column_type FROM (DESCRIBE batch)").fetchall())
wanted = {"time": "TIMESTAMP WITH TIME ZONE", "entry_index": "BIGINT", "blocked": "BOOLEAN", "confidence": "DOUBLE",
          "severity": "VARCHAR", "raw_ocsf_json": "VARCHAR", "date": "DATE"}
for name, kind in wanted.items():
    check(kinds.get(name) == kind, f"column {name} is {kinds.get(name)}, not {kind}")
denied = db.execute("SELECT count(*) FROM batch WHERE event_type = 'aarm.decision' AND decision = 'DENY'").fetchone()[0]
check(denied == sum(e["event_type"] == "aarm.decision" and e["decision"]["result"] == "DENY" for e in sent.values()),
      "denied decisions differ")
print(f"DuckDB batch: {len(rows)} events in {len(glob.glob(f'{folder}/analysis/**/*.parquet', recursive=True))} files")

# The lake: one class a source, nested members, time as a number, sorted.
total = 0
for source in sorted(glob.glob(f"{folder}/lake/ext/*")):
    uid = int(source.rsplit("-", 1)[1])
    for path in glob.glob(f"{source}/region=eu-central-1/accountId=123456789012/eventDay=*/*.parquet"):
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        check(types.is_int64(schema.field("time").type), f"{path}: time")
        check(types.is_struct(schema.field("metadata").type), f"{path}: metadata is not nested")
        check(types.is_struct(schema.field("metadata").type.field("product").type), f"{path}: product is not nested")
        check(file.metadata.row_group(0).column(0).compression == "SNAPPY", f"{path}: compression")
        events = file.read().to_pylist()
        check(all(event["class_uid"] == uid for event in events), f"{path}: another class")
        check([event["time"] for event in events] == sorted(event["time"] for event in events), f"{path}: not sorted")
        check(all(json.loads(event["unmapped"]) for event in events), f"{path}: unmapped")
        check(all(event["metadata"]["uid"] in ids for event in events), f"{path}: an event that is in no batch file")
        if uid == 6003:
            check(all(event["api"]["operation"] for event in events), f"{path}: no operation")
        total += len(events)
check(total == len(rows), f"the lake holds {total} events, the batch files {len(rows)}")
print(f"pyarrow lake: {total} events of {len(glob.glob(f'{folder}/lake/ext/*'))} classes")

# S1-8: the queries run, and give what is there.
for uid in ("6003", "2004"):
    db.execute(f"CREATE VIEW aarm_{uid} AS SELECT * FROM read_parquet('{folder}/lake/ext/AARM-{uid}/**/*.parquet')")
db.execute("CREATE MACRO to_unixtime(t) AS epoch(t)")
# The lake's own source of network flows, with one flow for each action.
db.execute("""CREATE VIEW vpc_flow AS SELECT start_time AS time, {'correlation_uid': metadata.correlation_uid} AS metadata,
    {'ip': '192.0.2.7'} AS dst_endpoint, {'bytes': 512} AS traffic FROM aarm_6003""")
with open(queries) as text:
    parts = text.read().split("-- name: ")[1:]
check(len(parts) == 6, f"{len(parts)} queries")
for part in parts:
    name, sql = part.split("\n", 1)
    found = db.execute(sql).fetchall()
    if name == "prompt_injection_attempts":
        check(not found, f"{name}: nobody tried")
    else:
        check(found, f"{name}: nothing")
    print(f"  {name}: {len(found)} rows")
