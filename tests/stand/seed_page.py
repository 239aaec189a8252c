"""The examples of AARM's telemetry page as one configuration, receivers for it, and what they must have got.

seed_page.py compose DATA PLACES        the configuration, as JSON, from DATA/aarm/telemetry; PLACES is JSON of addresses
seed_page.py receive CERT KEY FOLDER    a Splunk collector and a webhook over TLS; prints their two ports, writes what they
                                        took to FOLDER/splunk_hec.events and FOLDER/webhook.events
seed_page.py check FOLDER               compares what each receiver got with what was sent
"""

import gzip
import http.server
import json
import ssl
import sys
import threading

# Every so many requests one is refused for the moment.
REFUSED_EVERY = 4
RECEIVERS = ("splunk_hec", "s3", "kafka", "webhook", "aws_kinesis")


def compose(data, places):
    """The full example, the exporters of the example of streams, batch export, and both lookups. Only places change."""
    import yaml

    def block(name):
        with open(f"{data}/aarm/telemetry/{name}") as file:
            return yaml.safe_load(file)

    telemetry, places = block("13.yaml")["telemetry"], json.loads(places)
    telemetry["exporters"] += block("08.yaml")["exporters"]
    assert telemetry["enrichment"][0].items() <= block("12.yaml")["telemetry"]["enrichment"][0].items()
    telemetry["enrichment"] = block("12.yaml")["telemetry"]["enrichment"]
    batch = block("09.yaml")["batch_export"]
    by_type = {exporter["type"]: exporter for exporter in telemetry["exporters"]}
    assert set(by_type) == set(RECEIVERS), by_type
    for name, changes in places["exporters"].items():
        by_type[name].update(changes)
    # An hour is longer than a test.
    batch["interval"] = "1s"
    telemetry["lookups"] = places["lookups"]
    # What was sent, with nothing left out: the measure for the others.
    telemetry["exporters"].append({"type": "file", "path": "sent.jsonl", "schema": "aarm",
                                   "filters": {"min_severity": "INFO"}})
    print(json.dumps({"telemetry": telemetry, "batch_export": batch}, indent=1))


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    count, acks, lock = 0, 0, threading.Lock()

    def log_message(self, *_):
        pass

    def reply(self, status, message):
        body = json.dumps(message).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply(200, {"text": "HEC is healthy", "code": 17})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        with self.lock:
            type(self).count += 1
            if self.headers["authorization"] != self.authorization:
                return self.reply(403, {"text": "Invalid token", "code": 4})
            if self.path.endswith("/ack"):
                return self.reply(200, {"acks": {str(ack): True for ack in json.loads(body)["acks"]}})
            if self.count % REFUSED_EVERY == 0:
                return self.reply(503, {"text": "Server is busy", "code": 9})
            self.take(body.decode())

    def write(self, events):
        with open(self.file, "a") as out:
            out.writelines(json.dumps(event) + "\n" for event in events)


class Splunk(Receiver):
    authorization, file = "Splunk hec-token-of-the-stand", "splunk_hec.events"

    def take(self, text):
        assert self.path == "/services/collector/event", self.path
        envelopes = [json.loads(line) for line in text.splitlines()]
        for envelope in envelopes:
            assert envelope["index"] == "aarm_events", envelope
            assert envelope["fields"]["event_id"] == envelope["event"]["metadata"]["uid"], envelope
        self.write(envelope["event"] for envelope in envelopes)
        Splunk.acks += 1
        self.reply(200, {"text": "Success", "code": 0, "ackId": self.acks})


class Webhook(Receiver):
    authorization, file = "Bearer siem-token-of-the-stand", "webhook.events"

    def take(self, text):
        assert self.path == "/api/events", self.path
        events = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
        self.write(events)
        self.reply(200, {})


def receive(certificate, key, folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    servers = []
    for handler in (Splunk, Webhook):
        handler.file = f"{folder}/{handler.file}"
        open(handler.file, "w").close()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever).start()
    print(*(server.server_address[1] for server in servers), flush=True)


def lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def check(folder):
    def holds(condition, what):
        if not condition:
            sys.exit(f"seed page: {what}")

    # What was there before the process was asked to stop must be everywhere; what came then may be.
    every = {event["event_id"]: event for event in lines(f"{folder}/data/sent.jsonl")}
    settled = {event["event_id"]: event for event in lines(f"{folder}/settled.jsonl")}
    wanted = {id for id, event in settled.items() if event["severity"] != "INFO"}
    holds(len(settled) > len(wanted) > 100, f"{len(wanted)} of {len(settled)} events are LOW or more")
    for name in RECEIVERS:
        events = lines(f"{folder}/{name}.events")
        got = {event["metadata"]["uid"]: event for event in events}
        holds(not wanted - got.keys(), f"{name} lacks {len(wanted - got.keys())} events: {sorted(wanted - got.keys())[:2]}")
        holds(not got.keys() - every.keys(), f"{name} has events that were not sent: {sorted(got.keys() - every.keys())[:2]}")
        complete = 0
        for id, event in got.items():
            holds(every[id]["severity"] != "INFO", f"{name} got {id}, which the filter keeps back")
            holds(event["metadata"]["version"].startswith("1.1"), f"{name}: {id} is {event['metadata']['version']}")
            if every[id]["event_type"] not in ("aarm.action", "aarm.decision"):
                continue
            added = event["unmapped"]["aarm"].get("enrichment", {})
            person, tool = added.get("identity_human", {}), added.get("action_tool", {})
            holds(person.get("department") == "Treasury" and person.get("location") == "Vienna" and person.get("manager"),
                  f"{name}: {id} was not completed from the directory: {person}")
            holds(tool.get("asset_criticality") == "high" and tool.get("data_owner") == "treasury",
                  f"{name}: {id} was not completed from the inventory: {tool}")
            complete += 1
        holds(complete > 100, f"{name}: {complete} events were completed")
        print(f"{name}: {len(got)} of {len(wanted)} events, {len(events) - len(got)} repeats, {complete} completed")

    import pyarrow.parquet

    import glob
    rows = []
    for path in glob.glob(f"{folder}/files/**/*.parquet", recursive=True):
        rows += pyarrow.parquet.ParquetFile(path).read(columns=["event_id"]).column("event_id").to_pylist()
    files = len(glob.glob(f"{folder}/files/**/*.parquet", recursive=True))
    holds(len(rows) == len(set(rows)), "an event is in two Parquet files")
    holds(not settled.keys() - set(rows), f"the Parquet files lack {len(settled.keys() - set(rows))} events")
    # Checkpoints go to every destination but are what a file exporter gets too.
    holds(not set(rows) - every.keys(), "the Parquet files have events that were not sent")
    print(f"batch_export: {len(rows)} of {len(settled)} events in {files} files")


{"compose": compose, "receive": receive, "check": check}[sys.argv[1]](*sys.argv[2:])
