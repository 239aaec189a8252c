"""Keeps the log records that a collector hands on: `otlp-WAY.jsonl` in a folder, one record a line.

collector_sink.py PORT FOLDER
"""

import http.server
import json
import pathlib
import sys
import threading


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        way = self.path.split("/")[1]
        # One thread a connection, and ways may share one.
        with lock, open(folder / f"otlp-{way}.jsonl", "a") as file:
            for resource in body["resourceLogs"]:
                for scope in resource["scopeLogs"]:
                    for record in scope["logRecords"]:
                        file.write(json.dumps(record) + "\n")
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


lock = threading.Lock()
folder = pathlib.Path(sys.argv[2])
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Sink).serve_forever()
