# A real OpenTelemetry collector for exporters.sh: built by its own builder, receives OTLP over HTTP and gRPC and syslog,
# hands what it understood to collector_sink.py. Sourced; uses SCRATCH, WORK, PIDS, HERE, free_port, until_true.

OTLP_HTTP=$(free_port)
OTLP_JSON=$(free_port)
OTLP_GRPC=$(free_port)
OTLP_SYSLOG=$(free_port)
OTLP_SINK=$(free_port)

collector_exporters() {
    cat <<YAML
    - { type: otlp, name: otlp-http, url: "http://127.0.0.1:$OTLP_HTTP", schema: otel }
    - { type: otlp, name: otlp-json, url: "http://127.0.0.1:$OTLP_JSON", protocol: http/json, schema: aarm }
    - { type: otlp, name: otlp-grpc, url: "http://127.0.0.1:$OTLP_GRPC", protocol: grpc, schema: otel }
    - { type: syslog, name: otlp-syslog, address: "127.0.0.1:$OTLP_SYSLOG", transport: tcp }
YAML
}

collector_start() {
    cat >collector.yaml <<CONF
receivers:
  otlp/http: { protocols: { http: { endpoint: "127.0.0.1:$OTLP_HTTP" } } }
  otlp/json: { protocols: { http: { endpoint: "127.0.0.1:$OTLP_JSON" } } }
  otlp/grpc: { protocols: { grpc: { endpoint: "127.0.0.1:$OTLP_GRPC" } } }
  syslog: { protocol: rfc5424, enable_octet_counting: true, tcp: { listen_address: "127.0.0.1:$OTLP_SYSLOG" } }
exporters:
  otlp_http/http: { endpoint: "http://127.0.0.1:$OTLP_SINK/http", encoding: json, compression: none }
  otlp_http/json: { endpoint: "http://127.0.0.1:$OTLP_SINK/json", encoding: json, compression: none }
  otlp_http/grpc: { endpoint: "http://127.0.0.1:$OTLP_SINK/grpc", encoding: json, compression: none }
  otlp_http/syslog: { endpoint: "http://127.0.0.1:$OTLP_SINK/syslog", encoding: json, compression: none }
service:
  telemetry: { metrics: { level: none } }
  pipelines:
    logs/http: { receivers: [otlp/http], exporters: [otlp_http/http] }
    logs/json: { receivers: [otlp/json], exporters: [otlp_http/json] }
    logs/grpc: { receivers: [otlp/grpc], exporters: [otlp_http/grpc] }
    logs/syslog: { receivers: [syslog], exporters: [otlp_http/syslog] }
CONF
    python3 "$HERE/collector_sink.py" "$OTLP_SINK" "$WORK" >sink.log 2>&1 </dev/null &
    PIDS+=($!)
    "$SCRATCH/collector/collector" --config "$WORK/collector.yaml" >collector.log 2>&1 </dev/null &
    PIDS+=($!)
    until_true 30 bash -c ": >/dev/tcp/127.0.0.1/$OTLP_GRPC && : >/dev/tcp/127.0.0.1/$OTLP_SYSLOG && : >/dev/tcp/127.0.0.1/$OTLP_SINK" ||
        { echo "the collector does not listen"; tail -n 5 collector.log sink.log; return 1; }
}

# What the collector understood: ids of events by the way they came.
collector_check() {
    until_true 20 collector_has_all ||
        { for way in http json grpc syslog; do echo "collector $way: missing:"; comm -13 "otlp-$way.ids" wanted | head -n 3; done; return 1; }
    # Severity, event name and trace as the log data model has them, not only as text.
    jq -es 'all(.[]; .severityNumber >= 9 and (.eventName | startswith("aarm.")) and (.timeUnixNano | tonumber > 0))' \
        otlp-grpc.jsonl >/dev/null || { echo "collector grpc: records without severity, name or time"; return 1; }
    # The parser's own fields: facility 13, and the message kept whole.
    jq -es 'all(.[]; any(.attributes[]; .key == "facility" and .value.intValue == "13"))' otlp-syslog.jsonl >/dev/null ||
        { echo "collector syslog: another facility"; head -n 1 otlp-syslog.jsonl; return 1; }
    for way in http json grpc syslog; do echo "collector $way: $(wc -l <"otlp-$way.ids") events"; done
}

collector_has_all() {
    local way
    for way in http json grpc syslog; do
        jq -r '[.attributes[] | select(.key == "event.id" or .key == "aarm.event.id") | .value.stringValue][0]
            // (.attributes[] | select(.key == "message") | .value.stringValue | fromjson | .event_id)' \
            "otlp-$way.jsonl" | sort -u >"otlp-$way.ids" || return 1
        [ -z "$(comm -13 "otlp-$way.ids" wanted)" ] || return 1
    done
}
