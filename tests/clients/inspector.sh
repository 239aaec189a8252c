#!/usr/bin/env bash
# The MCP Inspector's command line as a client. Usage: CLIENT_PACKAGES=SCRATCH/inspector NODE=SCRATCH/node/bin/node inspector.sh URL
#
# Every method is a session of its own. The command line does not show progress, so that finding is null; the streamed
# tool is called all the same. Environment as in common.py; ERA is legacy or auto.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: inspector.sh URL" >&2; exit 2; }
PACKAGES=${CLIENT_PACKAGES:?names the folder that install.sh filled}
NODE=${NODE:-node}
SECONDS_MAX=30
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# It keeps its state below HOME, and its launcher starts `node` from PATH.
export HOME="$WORK"
PATH="$(dirname "$(command -v "$NODE")"):$PATH"

inspect() { # inspect NAME ARGUMENT...: leaves NAME.out and NAME.code
    local name=$1 code=0 token=()
    shift
    [ -z "${COUNTERSIGN_TOKEN:-}" ] || token=(--header "Authorization: Bearer $COUNTERSIGN_TOKEN")
    timeout "$SECONDS_MAX" "$PACKAGES/node_modules/.bin/mcp-inspector" --cli "$URL" --transport http \
        --protocol-era "${ERA:-auto}" --stored-auth-only --format json "${token[@]}" "$@" \
        >"$WORK/$name.out" 2>"$WORK/$name.err" || code=$?
    echo "$code" >"$WORK/$name.code"
}

URL=$1
NONE='{}'
inspect initialize --method initialize
inspect list --method tools/list
inspect allowed --method tools/call --tool-name "${ALLOWED_TOOL:-test_simple_text}" --tool-args-json "${ALLOWED_ARGS:-$NONE}"
inspect denied --method tools/call --tool-name "${DENIED_TOOL:-test_error_handling}" --tool-args-json "${DENIED_ARGS:-$NONE}"
inspect progress --method tools/call --tool-name "${PROGRESS_TOOL:-test_tool_with_progress}" --tool-args-json "${PROGRESS_ARGS:-$NONE}"
inspect again --method tools/call --tool-name "${ALLOWED_TOOL:-test_simple_text}" --tool-args-json "${ALLOWED_ARGS:-$NONE}"

python3 - "$WORK" "$PACKAGES" <<'PYTHON'
import json, sys
from pathlib import Path

work, packages = map(Path, sys.argv[1:])
TEXT_MAX = 2000


def outcome(name):
    """The result of one method and what it printed as an error; a result may be followed by the exit code's reason."""
    text = (work / f"{name}.out").read_text().strip()
    try:
        result = json.JSONDecoder().raw_decode(text)[0].get("result") if text else None
    except (ValueError, AttributeError):
        result = None
    return result, (work / f"{name}.err").read_text().strip()[:TEXT_MAX]


def text_of(result):
    return " ".join(block.get("text", "") for block in result.get("content", []))[:TEXT_MAX]


manifest = json.loads((packages / "node_modules/@modelcontextprotocol/inspector/package.json").read_text())
finding = {"client": "inspector", "version": manifest["version"]}
negotiated, complaint = outcome("initialize")
finding["negotiated"] = negotiated["protocolVersion"] if negotiated else None
listed, _ = outcome("list")
finding["listed"] = len(listed["tools"]) if listed else None
allowed, error = outcome("allowed")
finding["allowed"] = {"ok": bool(allowed) and not allowed.get("isError"), "text": text_of(allowed) if allowed else error}
denied, error = outcome("denied")
if denied:
    finding["denied"] = {"is_error": bool(denied.get("isError")), "text": text_of(denied)}
else:
    finding["denied"] = {"is_error": None, "text": "", "raised": error}
if outcome("progress")[0] is None:
    finding["progress_raised"] = outcome("progress")[1]
finding |= {"progress": None, "progress_lead_ms": None}
again, _ = outcome("again")
finding["survived"] = bool(again) and not again.get("isError")
if not negotiated:
    finding["raised"] = complaint
print(json.dumps(finding))
sys.exit(0 if finding["survived"] else 1)
PYTHON
