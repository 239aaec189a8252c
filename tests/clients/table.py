"""Prints the findings of run.sh as a table. Usage: table.py FILE, with `name<TAB>json` a line.

Exit 1 when DENIED_TEXT is set and a client was not shown it for the denied call.
"""

import json
import os
import sys

COLUMNS = "{:<18}{:<9}{:<12}{:>7} {:<8}{:<9}{:>8}{:>9} {:<9} {}"


def one_line(text, width):
    text = " ".join(str(text).split())
    return text if len(text) <= width else text[: width - 3] + "..."


def show(value):
    if value is None:
        return "-"
    return value if not isinstance(value, bool) else "yes" if value else "NO"


def main(path):
    wanted = os.environ.get("DENIED_TEXT", "")
    missing = []
    print(COLUMNS.format("client", "version", "negotiated", "listed", "allowed", "is_error", "progress", "lead_ms",
                         "survived", "denied: what the caller or the model saw"))
    for line in open(path, encoding="utf-8"):
        name, finding = line.rstrip("\n").split("\t", 1)
        finding = json.loads(finding)
        denied = finding.get("denied") or {}
        seen = denied.get("raised") and f"RAISED {denied['raised']}" or denied.get("text") or ""
        if finding.get("raised"):
            seen = f"SESSION LOST {finding['raised']}"
        if wanted and wanted not in (denied.get("text") or ""):
            missing.append(name)
        print(COLUMNS.format(
            name, show(finding.get("version")), show(finding.get("negotiated")), show(finding.get("listed")),
            show((finding.get("allowed") or {}).get("ok")), show(denied.get("is_error")),
            show(finding.get("progress")), show(finding.get("progress_lead_ms")), show(finding.get("survived")),
            one_line(seen, 100),
        ))
    for name in missing:
        print(f"{name} was not shown {wanted!r}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
