"""A scripted MCP server over standard input and output: every tool is one way of behaving."""

import json
import os
import signal
import subprocess
import sys

held, asking, cancelled = [], [], []


def write(message):
    sys.stdout.write(message if isinstance(message, str) else json.dumps(message) + "\n")
    sys.stdout.flush()


def answer(id, result):
    write({"jsonrpc": "2.0", "id": id, "result": result})


def note(method, **params):
    write({"jsonrpc": "2.0", "method": method, "params": params})


def call(id, tool, meta, line):
    if tool == "echo":
        answer(id, {"line": line})
    elif tool == "raw":
        write('{ "jsonrpc":"2.0",\r"id" : %s, "result": {"n": 1e2, "u": "\\u00e9"} }\r\n' % json.dumps(id))
    elif tool == "pid":
        answer(id, {"pid": os.getpid()})
    elif tool == "environment":
        answer(id, dict(os.environ))
    elif tool == "progress":
        for step in range(2):
            note("notifications/progress", progressToken=meta["progressToken"], progress=step)
        answer(id, {"done": id})
        note("notifications/tools/list_changed", behind=id)
    elif tool == "ask":
        asking.append(id)
        write({"jsonrpc": "2.0", "id": "question", "method": "roots/list"})
    elif tool == "hold":
        held.append(id)
    elif tool == "hold_aloud":
        held.append(id)
        note("notifications/progress", progressToken=meta["progressToken"], progress=0)
    elif tool == "release":
        while held:
            answer(held[0], {"held": held.pop(0)})
        answer(id, {"released": True})
    elif tool == "cancelled":
        answer(id, {"cancelled": cancelled})
    elif tool == "garbage":
        write("Listening for great tools\n")
    elif tool == "huge":
        write("x" * 100_000)
    elif tool == "die":
        os._exit(3)
    elif tool == "child":
        child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        answer(id, {"pid": child.pid})
    elif tool == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        answer(id, {"pid": os.getpid()})
        while True:
            signal.pause()


def main():
    if "STARTS" in os.environ:
        with open(os.environ["STARTS"], "a") as file:
            file.write("x")
    if "FAILS" in os.environ:
        sys.exit(1)
    print("standard error is for the log", file=sys.stderr, flush=True)
    while True:
        line = sys.stdin.readline()
        if not line:
            break
        message = json.loads(line)
        method, id, params = message.get("method"), message.get("id"), message.get("params", {})
        if method == "initialize":
            if params.get("refuse"):
                write({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": "no", "data": os.getpid()}})
            else:
                note("notifications/message", data="hello")
                answer(id, {"pid": os.getpid()})
        elif method == "tools/call":
            call(id, params["name"], params.get("_meta", {}), line)
        elif method == "subscriptions/listen":
            note("notifications/subscriptions/acknowledged", _meta={"io.modelcontextprotocol/subscriptionId": id})
        elif method == "notifications/cancelled":
            cancelled.append(params["requestId"])
        elif method is None and id == "question":
            # Written with the escapes of Python's own: the id is the same.
            answer(asking.pop(0), {"roots": message.get("result"), "error": message.get("error")})
        elif id is not None:
            write({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no such method"}})
    if "CLOSED" in os.environ:
        with open(os.environ["CLOSED"], "w") as file:
            file.write("closed")


main()
