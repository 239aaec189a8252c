"""Topics of a Kafka broker, by a client that shares nothing with ours.

kafka_topic.py reach BROKER                  exits 0 when the broker answers
kafka_topic.py create BROKER TOPIC[=BYTES]... makes topics of four partitions; BYTES is the largest message
kafka_topic.py read BROKER TOPIC WANTED      reads everything back and compares with the ids in the file WANTED
kafka_topic.py dump BROKER TOPIC             prints the value of every message
"""

import json
import logging
import sys

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

logging.disable(logging.CRITICAL)


def messages(broker, topic):
    """Every message of a topic, partition by partition in their order."""
    consumer = KafkaConsumer(bootstrap_servers=broker, group_id=None, enable_auto_commit=False)
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    consumer.seek_to_beginning(*partitions)
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for polled in consumer.poll(timeout_ms=1000).values():
            yield from polled


def dump(broker, topic):
    for message in messages(broker, topic):
        event, headers = json.loads(message.value), dict(message.headers)
        assert headers["event_id"].decode() == event["metadata"]["uid"], headers
        print(json.dumps(event))


def read(broker, topic, wanted):
    seen, places, repeats, disorder, test = {}, {}, 0, 0, False
    for message in messages(broker, topic):
        event, headers = json.loads(message.value), dict(message.headers)
        assert headers["event_id"].decode() == event["event_id"], headers
        assert headers["event_type"].decode() == event["event_type"], headers
        assert message.key.decode() == (event["session_id"] or event["receipt"]["origin"]), message.key
        if event["receipt"]["index"] == 2**53 - 1:
            test = True
            continue
        repeats += event["event_id"] in seen
        place = (message.key, message.partition)
        # What is urgent overtakes; all else keeps its order within a key, first arrivals counted.
        if event["severity"] not in ("HIGH", "CRITICAL") and event["event_id"] not in seen:
            disorder += event["receipt"]["index"] < places.get(place, 0)
            places[place] = event["receipt"]["index"]
        seen[event["event_id"]] = message.partition
    with open(wanted) as file:
        ids = set(file.read().split())
    missing, unknown = ids - seen.keys(), seen.keys() - ids
    print(f"kafka {topic}: {len(seen)} events in {len(set(seen.values()))} partitions, {repeats} repeats")
    assert not missing, f"missing: {sorted(missing)[:3]}"
    # The last entry, `stop`, may come after the comparison was written.
    assert len(unknown) <= 1, f"unknown: {sorted(unknown)[:3]}"
    assert disorder == 0, f"{disorder} events out of order"
    assert test, "no test event"


def topic(name, bytes_max=None):
    return NewTopic(name, 4, 1, topic_configs={"max.message.bytes": bytes_max} if bytes_max else {})


def main(verb, broker, *rest):
    if verb in ("read", "dump"):
        return {"read": read, "dump": dump}[verb](broker, *rest)
    admin = KafkaAdminClient(bootstrap_servers=broker)
    if verb == "create":
        admin.create_topics([topic(*word.split("=")) for word in rest])


main(*sys.argv[1:])
