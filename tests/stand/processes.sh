# What stands share: free ports, waiting for what comes up, and ending what was started. Sourced.

# Process ids of what a stand has started; it adds its own.
PIDS=()

# Ends what was started. A stopped process takes no other signal, so it goes on first.
end_started() {
    local pid
    for pid in "${PIDS[@]:-}"; do
        [ -n "$pid" ] && kill -CONT "$pid" 2>/dev/null && kill "$pid" 2>/dev/null || true
    done
}

# A port of loopback that nobody listens at.
free_port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# until_true SECONDS COMMAND...: repeats the command until it succeeds.
until_true() {
    local tries=$(($1 * 10))
    shift
    until "$@" 2>/dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}
