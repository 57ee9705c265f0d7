"""Writes prometheusrule.yaml, the rules as the Prometheus operator takes them: `python3 monitoring/make_prometheusrule.py`.

With `--runbook-base` it first has every alert lead there: in alerts.yaml, and in the tests that hold it.
"""

import argparse
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
FILE = FOLDER / "prometheusrule.yaml"
ALERTS = "alerts.yaml"
NAME_RUNBOOK = [ALERTS, "alerts_test.yaml", "alerts_days_test.yaml", "alerts_namespaces_test.yaml"]
HEAD = """\
# Written by make_prometheusrule.py from rules.yaml and alerts.yaml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: resnet-serve
spec:
  groups:
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if something would change")
    parser.add_argument("--runbook-base", type=address, metavar="URL",
                        help="where whoever is woken finds README.md, such as https://wiki.example/resnet-serve; `#` and the alert's "
                             "name are appended (in the repository: monitoring/README.md)")
    options = parser.parse_args()
    if options.check and options.runbook_base:
        parser.error("--check writes nothing, --runbook-base does")
    if options.runbook_base:
        lead_to(options.runbook_base)
    text = HEAD + groups("rules.yaml") + "\n" + groups(ALERTS)
    if not options.check:
        FILE.write_text(text)
    elif FILE.read_text() != text:
        sys.exit("prometheusrule.yaml is not what rules.yaml and alerts.yaml give: run monitoring/make_prometheusrule.py")


def address(text: str) -> str:
    if not re.fullmatch(r"[^\s#\"'{}]+", text):
        raise argparse.ArgumentTypeError(f"`{text}` is no address to which `#` and a name can be appended")
    return text


def lead_to(base: str) -> None:
    for name in NAME_RUNBOOK:
        file = FOLDER / name
        file.write_text(re.sub(r"(\brunbook_url: )[^#\n]+#", lambda found: f"{found[1]}{base}#", file.read_text()))


def groups(name: str) -> str:
    """The groups of a file of rules, two levels further in."""
    _, found, lines = (FOLDER / name).read_text().partition("\ngroups:\n")
    assert found, f"{name} has no groups"
    return "".join(f"  {line}" if line.strip() else line for line in lines.splitlines(keepends=True))


if __name__ == "__main__":
    main()
