#!/usr/bin/env python3
"""Validates every OCSF event of the golden files against the JSON Schema of its class, version and profiles.

    tests/stand/ocsf.py GOLDEN

GOLDEN: the folder of golden files (tests/it/golden/events). A library test holds these files and what the program writes
together. The schemas are generated here by the package ocsf-json-schema from OCSF's own releases; `additionalProperties`
is false in them. Negative controls must fail, or the validation proves nothing.
"""

import copy
import json
import pathlib
import sys

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

CLASSES = {
    2001: "security_finding",
    2004: "detection_finding",
    3003: "authorize_session",
    3004: "entity_management",
    6002: "application_lifecycle",
    6003: "api_activity",
}
_generators = {}
_validators = {}


def validator(event):
    """The validator of an event's class, in its version and with the profiles that it declares."""
    version = event["metadata"]["version"]
    profiles = tuple(event["metadata"].get("profiles", []))
    key = (version, event["class_uid"], profiles)
    if key not in _validators:
        if version not in _generators:
            _generators[version] = OcsfJsonSchemaEmbedded(get_ocsf_schema(version))
        schema = _generators[version].get_class_schema(CLASSES[event["class_uid"]], list(profiles))
        _validators[key] = Draft202012Validator(schema)
    return _validators[key]


def problems(event):
    """What is wrong with an event."""
    found = [f"{error.json_path}: {error.message[:200]}" for error in validator(event).iter_errors(event)]
    if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
        found.append("type_uid is not class_uid * 100 + activity_id")
    if event["category_uid"] != event["class_uid"] // 1000:
        found.append("category_uid is not that of the class")
    return found


def spoilt(event):
    """Copies of an event that are not OCSF any more, and what was done to them."""

    def changed(what, change):
        event_copy = copy.deepcopy(event)
        change(event_copy)
        return what, event_copy

    yield changed("time as text", lambda e: e.update(time="2026-11-20T10:31:00Z"))
    yield changed("no metadata.product", lambda e: e["metadata"].pop("product"))
    yield changed("an unknown member", lambda e: e.update(aarm={}))
    yield changed("a severity that is not there", lambda e: e.update(severity_id=7))
    yield changed("no class", lambda e: e.pop("severity_id"))
    if event["class_uid"] == 6003:
        yield changed("no src_endpoint", lambda e: e.pop("src_endpoint"))
        yield changed("an empty actor", lambda e: e.update(actor={}))
    if event["class_uid"] == 3003:
        yield changed("privileges and group", lambda e: e.update(group={"name": "x"}))
        yield changed("no user", lambda e: e.pop("user"))
    if event["class_uid"] == 2004:
        yield changed("no finding_info", lambda e: e.pop("finding_info"))


def main():
    golden = pathlib.Path(sys.argv[1])
    valid = refused = 0
    wrong = []
    for file in sorted(golden.glob("ocsf-*/*.json")):
        for sample, event in json.loads(file.read_text()).items():
            name = f"{file.parent.name}/{file.stem} {sample}"
            found = problems(event)
            wrong += [f"{name}: {problem}" for problem in found]
            valid += not found
            for what, bad in spoilt(event):
                if not any(validator(event).iter_errors(bad)):
                    wrong.append(f"{name}: accepted with {what}")
                refused += 1
    for line in wrong[:60]:
        print(line)
    print(f"{valid} OCSF events valid, {refused} negative controls tried, {len(wrong)} problems")
    sys.exit(1 if wrong or valid < 100 else 0)


main()
