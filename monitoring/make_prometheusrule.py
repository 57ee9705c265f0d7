"""Writes prometheusrule.yaml, the rules as the Prometheus operator takes them: `python3 monitoring/make_prometheusrule.py`."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
FILE = FOLDER / "prometheusrule.yaml"
HEAD = """\
# Written by make_prometheusrule.py from rules.yaml and alerts.yaml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: resnet-serve
spec:
  groups:
"""


def groups(name: str) -> str:
    """The groups of a file of rules, two levels further in."""
    _, found, lines = (FOLDER / name).read_text().partition("\ngroups:\n")
    assert found, f"{name} has no groups"
    return "".join(f"  {line}" if line.strip() else line for line in lines.splitlines(keepends=True))


def main() -> None:
    text = HEAD + groups("rules.yaml") + "\n" + groups("alerts.yaml")
    if "--check" not in sys.argv:
        FILE.write_text(text)
    elif FILE.read_text() != text:
        sys.exit("prometheusrule.yaml is not what rules.yaml and alerts.yaml give: run monitoring/make_prometheusrule.py")


if __name__ == "__main__":
    main()
