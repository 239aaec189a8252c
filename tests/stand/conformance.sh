#!/usr/bin/env bash
# Runs the official MCP conformance suite against a server directly and through the proxy, for both eras, and compares.
#
#   tests/stand/conformance.sh SCRATCH DIRECT_URL PROXY_URL OUT
#
# SCRATCH     the folder that install.sh filled (parts node and conformance)
# DIRECT_URL  the server's own address, PROXY_URL the same server behind the proxy under a policy that allows everything
# OUT         a folder for the results; an earlier run in it is removed
#
# Exit 0 when every scored scenario passes directly and every check has the same status through the proxy; compare.py
# names the checks that may improve. Both servers must be running. Takes about half a minute.
set -euo pipefail

[ $# -eq 4 ] || { echo "usage: conformance.sh SCRATCH DIRECT_URL PROXY_URL OUT" >&2; exit 2; }
SCRATCH=$(cd "$1" && pwd)
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SUITE="$SCRATCH/conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js"
NODE="$SCRATCH/node/bin/node"
REVISIONS=(2025-11-25 2026-07-28)
# One run takes 3 to 12 seconds; each scenario has its own limit of 30.
RUN_SECONDS_MAX=300

[ -x "$NODE" ] && [ -f "$SUITE" ] || { echo "conformance.sh: run install.sh $SCRATCH first" >&2; exit 1; }
mkdir -p "$4"
OUT=$(cd "$4" && pwd)
for revision in "${REVISIONS[@]}"; do
    for side in direct proxy; do
        results="$OUT/$side/$revision"
        if [ $side = direct ]; then url=$2; else url=$3; fi
        rm -rf "$results"
        mkdir -p "$results"
        SECONDS=0
        status=0
        timeout "$RUN_SECONDS_MAX" "$NODE" "$SUITE" server --url "$url" --requirements "$revision" -o "$results/checks" \
            >"$results/log" 2>&1 || status=$?
        printf '{"exit": %d, "seconds": %d, "url": "%s"}\n' "$status" "$SECONDS" "$url" >"$results/run.json"
    done
done
exec python3 "$HERE/compare.py" "$OUT" "${REVISIONS[@]}"
