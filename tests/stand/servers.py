"""Calls server-everything over HTTP and server-filesystem over stdio through the proxy, in plain HTTP.

    servers.py BASE_URL FILE

Needs COUNTERSIGN_TOKEN. Exit 0 when both answered what they answer without a proxy.
"""

import json
import os
import sys
import urllib.request


class Session:
    """One session of the older era."""

    def __init__(self, url: str) -> None:
        self.url, self.session, self.next_id = url, None, 0
        self.ask("initialize", {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "servers.py", "version": "1"},
        })
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def post(self, message: dict) -> tuple[str, bytes]:
        headers = {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "Authorization": "Bearer " + os.environ["COUNTERSIGN_TOKEN"],
        }
        if self.session:
            headers |= {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": "2025-11-25"}
        request = urllib.request.Request(self.url, json.dumps(message).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            self.session = response.headers.get("Mcp-Session-Id", self.session)
            return response.headers.get("Content-Type", ""), response.read()

    def ask(self, method: str, params: dict) -> dict:
        self.next_id += 1
        kind, body = self.post({"jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params})
        if kind.startswith("text/event-stream"):
            lines = [line[5:].strip() for line in body.decode().splitlines() if line.startswith("data:")]
            messages = [json.loads(line) for line in lines if line]
            return next(message for message in messages if message.get("id") == self.next_id)
        return json.loads(body)


def main(base: str, file: str) -> int:
    everything = Session(base + "/mcp/everything")
    tools = everything.ask("tools/list", {})["result"]["tools"]
    echoed = everything.ask("tools/call", {"name": "echo", "arguments": {"message": "hi"}})["result"]
    print(f"server-everything: {len(tools)} tools; echo: {echoed['content'][0]['text']}")
    files = Session(base + "/mcp/files")
    listed = files.ask("tools/list", {})["result"]["tools"]
    answer = files.ask("tools/call", {"name": "read_text_file", "arguments": {"path": file}})["result"]
    print(f"server-filesystem: {len(listed)} tools; read: {answer['content'][0]['text'].strip()}")
    with open(file, encoding="utf-8") as text:
        same = answer["content"][0]["text"].strip() == text.read().strip()
    return 0 if "hi" in echoed["content"][0]["text"] and same else 1


sys.exit(main(*sys.argv[1:]))
