"""Calls a tool that the policy refuses: COUNT calls of one after the other, in as many sessions as there are threads.

calls.py URL COUNT [KEY]
"""

import concurrent.futures
import json
import sys
import urllib.request

THREADS = 4
url, count, key = sys.argv[1], int(sys.argv[2]), sys.argv[3:]


def call(number):
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call",
               "params": {"name": "delete", "arguments": {"number": number}}}
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    if key:
        headers["authorization"] = f"Bearer {key[0]}"
    request = urllib.request.Request(url, json.dumps(message).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["result"]["isError"], number


with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
    list(pool.map(call, range(count)))
