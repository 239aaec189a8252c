"""Compares two runs of the MCP conformance suite: directly against a server, and through the proxy.

    compare.py OUT REVISION...

OUT holds direct/REVISION and proxy/REVISION as conformance.sh writes them. For every revision the multisets of
(scenario, check, status) must be equal, unscored scenarios and notes included. The scenarios of MAY_IMPROVE test what
the proxy enforces itself, so there a check may be better through the proxy, never worse. Exit 1 on any other difference,
and when a scored scenario fails directly (the suite's own exit status).
"""

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

MAY_IMPROVE = {"dns-rebinding-protection", "http-header-validation", "http-custom-header-server-validation"}
# From worst to best. A note (INFO) and a check that did not apply (SKIPPED) are neither passed nor failed.
RANK = {"FAILURE": 0, "WARNING": 1, "SKIPPED": 2, "INFO": 3, "SUCCESS": 4}
RESULT_FOLDER = re.compile(r"^(?:server-)?(?P<scenario>.+)-\d{4}-\d{2}-\d{2}T[\d-]+Z$")


def read_checks(folder):
    """The statuses of every (scenario, check) below a folder of results, and the messages of what failed."""
    statuses, messages = defaultdict(list), {}
    for file in sorted(folder.glob("checks/*/checks.json")):
        match = RESULT_FOLDER.match(file.parent.name)
        scenario = match["scenario"] if match else file.parent.name
        for check in json.loads(file.read_text()):
            key = (scenario, check["id"])
            statuses[key].append(check["status"])
            if check["status"] in ("FAILURE", "WARNING"):
                messages[key] = check.get("errorMessage") or ""
    return statuses, messages


def is_as_good(direct, proxy):
    """True when, best against best, no status is worse and none is missing."""
    ranks = lambda statuses: sorted((RANK.get(status, 0) for status in statuses), reverse=True)
    return len(proxy) >= len(direct) and all(ours >= theirs for theirs, ours in zip(ranks(direct), ranks(proxy)))


def describe(statuses):
    """Statuses with their number, for one cell of a table."""
    return ", ".join(f"{count} {status}" for status, count in sorted(Counter(statuses).items())) or "absent"


def compare(direct, proxy):
    """Rows of (verdict, scenario, check, direct, proxy) for every check that is not the same on both sides."""
    rows = []
    for key in sorted(direct.keys() | proxy.keys()):
        ours, theirs = proxy.get(key, []), direct.get(key, [])
        if Counter(ours) != Counter(theirs):
            better = key[0] in MAY_IMPROVE and is_as_good(theirs, ours)
            rows.append(("improved" if better else "DIFFERENT", *key, describe(theirs), describe(ours)))
    return rows


def main(out, revisions):
    failed = False
    print(f"{'revision':<12}{'side':<8}{'scenarios':>9}{'passed':>8}{'failed':>8}{'other':>7}{'exit':>6}{'seconds':>9}")
    for revision in revisions:
        sides = {}
        for side in ("direct", "proxy"):
            folder = out / side / revision
            run = json.loads((folder / "run.json").read_text())
            checks, messages = read_checks(folder)
            sides[side] = (run, checks, messages)
            count = Counter(status for statuses in checks.values() for status in statuses)
            other = sum(count.values()) - count["SUCCESS"] - count["FAILURE"]
            scenarios = len({scenario for scenario, _ in checks})
            print(
                f"{revision:<12}{side:<8}{scenarios:>9}{count['SUCCESS']:>8}{count['FAILURE']:>8}{other:>7}"
                f"{run['exit']:>6}{run['seconds']:>9}"
            )
        (direct_run, direct, _), (_, proxy, messages) = sides["direct"], sides["proxy"]
        if not direct or direct_run["exit"] != 0:
            print(f"  FAILED    scored scenarios fail without the proxy: {out}/direct/{revision}/log")
            failed = True
        for verdict, scenario, check, theirs, ours in compare(direct, proxy):
            failed = failed or verdict == "DIFFERENT"
            print(f"  {verdict:<10}{scenario} / {check}: direct {theirs}; proxy {ours}  {messages.get((scenario, check), '')}")
    print("NOT EQUAL" if failed else "equal, except where the proxy may improve on the server")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
