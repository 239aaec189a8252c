"""What the Python clients share: which tools to call, the order of the calls, and the one line they print.

Environment: ALLOWED_TOOL, DENIED_TOOL and PROGRESS_TOOL with their JSON arguments in ALLOWED_ARGS, DENIED_ARGS and
PROGRESS_ARGS (default: tools of the conformance fixture server), COUNTERSIGN_TOKEN (sent as a bearer token), ERA
(`auto`, or `legacy` for clients that can be told to speak 2025-11-25).
"""

import asyncio
import json
import os
import sys
import time
from importlib.metadata import version

# A client that hangs is a finding too: it must end and say so.
SECONDS_MAX = 60
TEXT_MAX = 2000

TOOLS = {
    "allowed": ("ALLOWED", "test_simple_text"),
    "denied": ("DENIED", "test_error_handling"),
    "progress": ("PROGRESS", "test_tool_with_progress"),
}


def tool(role):
    """The name and the arguments of the tool that plays this role."""
    prefix, default = TOOLS[role]
    return os.environ.get(f"{prefix}_TOOL", default), json.loads(os.environ.get(f"{prefix}_ARGS", "{}"))


def headers():
    token = os.environ.get("COUNTERSIGN_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def era():
    return os.environ.get("ERA", "auto")


def describe(error):
    """The innermost exception: task groups wrap it in as many groups as there are tasks."""
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:TEXT_MAX]


def blank(client, package):
    """A finding in which nothing has happened yet."""
    return {
        "client": client, "version": version(package), "negotiated": None, "listed": None, "allowed": None,
        "denied": None, "progress": None, "progress_lead_ms": None, "survived": False,
    }


async def exercise(finding, list_names, call):
    """Lists, calls the allowed, the denied and the streamed tool, then the allowed one again.

    `list_names()` returns the names of the tools. `call(name, arguments, on_progress)` returns (is_error, text); a
    raised exception is recorded, because how a client takes a refusal is what the test is about.
    """
    finding["listed"] = len(await list_names())
    is_error, text = await call(*tool("allowed"), None)
    finding["allowed"] = {"ok": not is_error, "text": text[:TEXT_MAX]}
    try:
        is_error, text = await call(*tool("denied"), None)
        finding["denied"] = {"is_error": is_error, "text": text[:TEXT_MAX]}
    except Exception as error:
        finding["denied"] = {"is_error": None, "text": "", "raised": describe(error)}
    arrivals = []
    try:
        await call(*tool("progress"), lambda: arrivals.append(time.monotonic()))
        # How long before the result the first report came: near zero means that someone buffered the stream.
        if arrivals:
            finding["progress_lead_ms"] = round((time.monotonic() - arrivals[0]) * 1000)
    except Exception as error:
        finding["progress_raised"] = describe(error)
    finding["progress"] = len(arrivals)
    is_error, _ = await call(*tool("allowed"), None)
    finding["survived"] = not is_error


def run(finding, session):
    """Runs `session(url)` under the time limit, prints the finding, and exits 0 only if the session survived."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} URL")
    try:
        asyncio.run(asyncio.wait_for(session(sys.argv[1]), SECONDS_MAX))
    except BaseException as error:
        finding["raised"] = describe(error)
        finding["survived"] = False
    print(json.dumps(finding), flush=True)
    sys.exit(0 if finding["survived"] else 1)
