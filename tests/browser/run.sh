#!/usr/bin/env bash
# The console in a real browser, and the audit of the proxy's log.
#
#   tests/browser/run.sh SCRATCH TARGET WORK
#
# SCRATCH  the folder that install.sh filled; TARGET the build folder; WORK a folder for what the run leaves behind:
# pictures of every page are in WORK/browser/pictures.
set -euo pipefail

[ $# -eq 3 ] || { echo "usage: run.sh SCRATCH TARGET WORK" >&2; exit 2; }
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SCRATCH=$(cd "$1" && pwd)
BINARY=$(cd "$2" && pwd)/debug/countersign
mkdir -p "$3/browser"
WORK=$(cd "$3/browser" && pwd)

PATH="$SCRATCH/node/bin:$PATH" node "$HERE/main.mjs" "$SCRATCH" "$BINARY" "$WORK"
"$BINARY" receipts verify --data-dir "$WORK/stand/data" >"$WORK/audit.txt" || [ $? -eq 3 ] || { cat "$WORK/audit.txt"; exit 1; }
echo "pictures: $WORK/pictures"
