#!/usr/bin/env bash
# Starts and stops the servers that the tests put behind the proxy.
#
#   tests/stand/servers.sh conformance BINARY STATE   the fixture server (cargo build --example conformance-server)
#   tests/stand/servers.sh everything SCRATCH STATE   server-everything over HTTP
#   tests/stand/servers.sh filesystem SCRATCH FOLDER  server-filesystem over stdio, in the foreground, for FOLDER only
#   tests/stand/servers.sh stop STATE                 ends what was started with this STATE
#
# SCRATCH is the folder that install.sh filled. STATE is a folder for pid and log files; created if it is not there.
# The first two print the URL once the server accepts connections. PORT chooses the port, otherwise a free one is taken.
# Whatever is forgotten ends after LIFETIME_SECONDS_MAX (default 3600).
set -euo pipefail

LIFETIME_SECONDS_MAX=${LIFETIME_SECONDS_MAX:-3600}
# Polls of 0.05 seconds: 15 seconds to start, 5 to end.
START_POLLS_MAX=300
STOP_POLLS_MAX=100
# server-everything has no setting for its address and would listen on every interface.
LOOPBACK_ONLY='data:text/javascript,
import net from "node:net";
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) { return listen.call(this, port, "127.0.0.1", ...rest); };'

fail() { echo "servers.sh: $*" >&2; exit 1; }

accepts() { (: >"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start() { # start NAME STATE COMMAND...: prints the URL
    local name=$1 state=$2 port polls=0 pid
    shift 2
    port=${PORT:-$(free_port)}
    mkdir -p "$state"
    accepts "$port" && fail "port $port is taken"
    PORT=$port timeout "$LIFETIME_SECONDS_MAX" "$@" >"$state/$name.log" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$state/$name.pid"
    until accepts "$port"; do
        kill -0 "$pid" 2>/dev/null || fail "$name ended: $(tail -n 1 "$state/$name.log")"
        polls=$((polls + 1))
        [ "$polls" -lt "$START_POLLS_MAX" ] || { kill "$pid"; fail "$name does not accept connections on port $port"; }
        sleep 0.05
    done
    echo "http://127.0.0.1:$port/mcp"
}

stop() { # stop STATE: ends exactly the processes whose ids are there
    local file pid polls
    for file in "$1"/*.pid; do
        [ -e "$file" ] || continue
        pid=$(cat "$file")
        polls=0
        kill "$pid" 2>/dev/null || true
        while kill -0 "$pid" 2>/dev/null; do
            polls=$((polls + 1))
            if [ "$polls" -ge "$STOP_POLLS_MAX" ]; then
                # `timeout` leads a process group of its own: this ends the server with it.
                kill -KILL -- "-$pid" 2>/dev/null || true
                break
            fi
            sleep 0.05
        done
        rm -f "$file"
    done
}

packages() { echo "$1/servers/node_modules/@modelcontextprotocol"; }

case "${1:-} $#" in
    "conformance 3")
        [ -x "$2" ] || fail "no fixture server at $2"
        start conformance "$3" "$2"
        ;;
    "everything 3")
        [ -x "$2/node/bin/node" ] || fail "run install.sh $2 first"
        start everything "$3" "$2/node/bin/node" --import "$LOOPBACK_ONLY" \
            "$(packages "$2")/server-everything/dist/index.js" streamableHttp
        ;;
    "filesystem 3")
        [ -x "$2/node/bin/node" ] || fail "run install.sh $2 first"
        # In the foreground: its standard input and output are the transport.
        exec timeout --foreground "$LIFETIME_SECONDS_MAX" \
            "$2/node/bin/node" "$(packages "$2")/server-filesystem/dist/index.js" "$3"
        ;;
    "stop 2") stop "$2" ;;
    *) fail "usage: servers.sh conformance BINARY STATE | everything SCRATCH STATE | filesystem SCRATCH FOLDER | stop STATE" ;;
esac
