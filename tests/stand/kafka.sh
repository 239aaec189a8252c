# A real Kafka broker for exporters.sh: one node in KRaft mode, one topic with four partitions, a plain listener and one
# with TLS and SCRAM. Sourced; uses SCRATCH, WORK, PIDS, LINGERING, free_port, until_true, ca.pem, server.pem and server.key.

KAFKA_PLAIN=$(free_port)
KAFKA_TLS=$(free_port)
KAFKA_CONTROLLER=$(free_port)
KAFKA_PID=
# Between the sizes of the events that go there: some fit.
KAFKA_SMALL=1150

kafka_java() { java -Xmx512m -cp "$SCRATCH/kafka/libs/*" "$@"; }

# Where events go: the same broker, once plainly, once with everything on, once with a password that is wrong at first,
# and once to a topic that takes no large messages.
kafka_exporters() {
    cat <<YAML
    - { type: kafka, brokers: ["127.0.0.1:$KAFKA_PLAIN"], topic: aarm-events, compression: gzip }
    - type: kafka
      name: kafka-tls
      brokers: ["localhost:$KAFKA_TLS"]
      topic: aarm-events-tls
      tls: { ca: "$WORK/ca.pem" }
      sasl: { username: countersign, password: { file: "$WORK/kafka-password" } }
    - type: kafka
      name: kafka-refused
      brokers: ["localhost:$KAFKA_TLS"]
      topic: aarm-events-refused
      tls: { ca: "$WORK/ca.pem" }
      sasl: { username: countersign, password: { file: "$WORK/kafka-changed" } }
      timeout_ms: 3000
      delivery: { probe_interval_ms: 500 }
    - type: kafka
      name: kafka-small
      brokers: ["127.0.0.1:$KAFKA_PLAIN"]
      topic: aarm-events-small
      compression: none
      filters: { event_type: [aarm.control, aarm.policy, aarm.system] }
YAML
}

kafka_prepare() {
    printf 'stand-password\n' >kafka-password
    printf 'another-password\n' >kafka-changed
    cat server.key server.pem >kafka.pem
    cat >kafka.properties <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$KAFKA_CONTROLLER
listeners=PLAIN://127.0.0.1:$KAFKA_PLAIN,SECURE://127.0.0.1:$KAFKA_TLS,CONTROLLER://127.0.0.1:$KAFKA_CONTROLLER
advertised.listeners=PLAIN://127.0.0.1:$KAFKA_PLAIN,SECURE://localhost:$KAFKA_TLS
listener.security.protocol.map=PLAIN:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAIN
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location=$WORK/kafka.pem
log.dirs=$WORK/kafka-data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=false
CONF
    kafka_java kafka.tools.StorageTool format -t "$(kafka_java kafka.tools.StorageTool random-uuid 2>/dev/null | tail -n 1)" \
        -c kafka.properties --add-scram 'SCRAM-SHA-512=[name=countersign,password=stand-password]' >kafka-format.log 2>&1 ||
        { echo "the broker's disk cannot be prepared:"; tail -n 3 kafka-format.log; return 1; }
}

kafka_start() {
    # Not by `kafka_java`: a function runs in a shell of its own, and killing that one leaves the broker alive.
    java -Xmx512m -cp "$SCRATCH/kafka/libs/*" kafka.Kafka kafka.properties >>kafka.log 2>&1 </dev/null &
    KAFKA_PID=$!
    PIDS+=("$KAFKA_PID")
    # A lone broker waits long for a controller that is itself.
    LINGERING+=("$KAFKA_PID")
    until_true 60 "$SCRATCH/kafka_client/bin/python" "$HERE/kafka_topic.py" reach "127.0.0.1:$KAFKA_PLAIN" >/dev/null ||
        { echo "Kafka does not listen"; tail -n 5 kafka.log; return 1; }
}

# As a power failure would: nothing is flushed or said good-bye to.
kafka_kill() {
    kill -KILL "$KAFKA_PID"
    wait "$KAFKA_PID" 2>/dev/null || true
    # Its id may soon be another's.
    LINGERING=()
    ! (: >"/dev/tcp/127.0.0.1/$KAFKA_PLAIN") 2>/dev/null || { echo "the broker survived its death"; return 1; }
}

kafka_create() {
    "$SCRATCH/kafka_client/bin/python" "$HERE/kafka_topic.py" create "127.0.0.1:$KAFKA_PLAIN" \
        aarm-events aarm-events-tls aarm-events-refused "aarm-events-small=$KAFKA_SMALL"
}

# A broker that refuses the password: the destination is parked and gives nothing up. The right one is taken up from its
# file, and everything comes.
kafka_refused() {
    local parked='.destinations[] | select(.name == "kafka-refused")
        | .counts.delivered == 0 and .counts.dead == 0 and .behind > 0 and (.problem // "" | startswith("parked"))'
    until_true 60 bash -c "'$BINARY' export status -c countersign.yaml --json | jq -e '$parked'" >/dev/null ||
        { echo "a refused password does not park:"; "$BINARY" export status -c countersign.yaml; return 1; }
    cp kafka-password kafka-changed
    echo "kafka refused: parked, nothing given up"
}

# Reads every event back: the ids of the topic must be those of the file `wanted`, in order within each key.
kafka_check() {
    local topic
    for topic in aarm-events aarm-events-tls aarm-events-refused; do
        "$SCRATCH/kafka_client/bin/python" "$HERE/kafka_topic.py" read "127.0.0.1:$KAFKA_PLAIN" "$topic" wanted || return 1
    done
    # What the broker finds too large is a dead letter, and only that.
    jq -r 'select(.index < 9007199254740991) | .event_id' data/export/kafka-small.dead.jsonl | sort -u >kafka-small.dead
    [ -s kafka-small.dead ] || { echo "kafka small: nothing was too large"; return 1; }
    comm -23 wanted-udp kafka-small.dead >wanted-small
    [ -s wanted-small ] || { echo "kafka small: nothing fitted"; return 1; }
    "$SCRATCH/kafka_client/bin/python" "$HERE/kafka_topic.py" read "127.0.0.1:$KAFKA_PLAIN" aarm-events-small wanted-small || return 1
    echo "kafka small: $(wc -l <kafka-small.dead) dead letters"
}
