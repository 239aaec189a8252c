#!/usr/bin/env bash
# Runs the real clients against one MCP endpoint and prints what each of them saw.
#
#   tests/clients/run.sh SCRATCH URL [CLIENT...]
#
# SCRATCH  the folder that tests/stand/install.sh filled
# CLIENT   py_v2 py_v1 ts_v2 ts_v1 inspector langchain_agent openai_agent; py_v2, ts_v2 and inspector also with :legacy,
#          which makes them speak 2025-11-25 (default: all ten)
#
# Environment: COUNTERSIGN_TOKEN and the tools as in common.py. CLIENTS_OUT: a file for the findings, one JSON line each.
# DENIED_TEXT: words that every client must have been shown for the denied call.
# Exit 0 when every session survived the denial (and showed DENIED_TEXT, if set).
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: run.sh SCRATCH URL [CLIENT...]" >&2; exit 2; }
SCRATCH=$(cd "$1" && pwd)
URL=$2
shift 2
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ALL=(py_v2 py_v2:legacy ts_v2 ts_v2:legacy inspector inspector:legacy py_v1 ts_v1 langchain_agent openai_agent)
[ $# -gt 0 ] || set -- "${ALL[@]}"
# Above the clients' own limit of 60 seconds; the inspector starts six processes.
CLIENT_SECONDS_MAX=200

FINDINGS=$(mktemp)
COMPLAINTS=$(mktemp)
trap 'rm -f "$FINDINGS" "$COMPLAINTS"' EXIT
export PYTHONDONTWRITEBYTECODE=1
failed=0
for name in "$@"; do
    client=${name%%:*}
    if [ "$name" = "$client" ]; then era=auto; else era=${name#*:}; fi
    case $client in
        py_v2) command=("$SCRATCH/python_v2/bin/python" "$HERE/py_v2.py") ;;
        py_v1 | langchain_agent | openai_agent) command=("$SCRATCH/python_v1/bin/python" "$HERE/$client.py") ;;
        ts_v2 | ts_v1) command=("$SCRATCH/node/bin/node" "$HERE/$client.mjs") ;;
        inspector) command=("$HERE/inspector.sh") ;;
        *) echo "run.sh: no client is called $client" >&2; exit 2 ;;
    esac
    packages="$SCRATCH/typescript"
    [ "$client" != inspector ] || packages="$SCRATCH/inspector"
    status=0
    line=$(ERA="$era" CLIENT_PACKAGES="$packages" NODE="$SCRATCH/node/bin/node" \
        timeout "$CLIENT_SECONDS_MAX" "${command[@]}" "$URL" 2>"$COMPLAINTS" | tail -n 1) || status=$?
    if [ -z "$line" ]; then
        line=$(python3 -c 'import json, sys; print(json.dumps({"client": sys.argv[1], "survived": False, "raised": sys.argv[2]}))' \
            "$client" "no finding, exit $status: $(tail -n 1 "$COMPLAINTS")")
    fi
    [ "$status" -eq 0 ] || failed=1
    printf '%s\t%s\n' "$name" "$line" >>"$FINDINGS"
done
python3 "$HERE/table.py" "$FINDINGS" || failed=1
[ -z "${CLIENTS_OUT:-}" ] || cut -f 2- "$FINDINGS" >"$CLIENTS_OUT"
exit $failed
