"""This server beside what people would choose instead, in one run.

    python3 benchmarks/compare.py --photos DIR

Sets up its peers in environments of their own under target/, drives each by turns, and writes
benchmarks/RESULTS.md with its figures and pictures. Cases that are not run keep their results. Without
`--photos` it makes pictures of 500x375 by itself.
"""

import argparse
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from compare import report  # noqa: E402
from compare.bench import Bench  # noqa: E402
from compare.cases import CASES  # noqa: E402
from peers.servers import build, end_on_sigterm  # noqa: E402


def main() -> None:
    options = parse()
    if not shutil.which("wrk"):
        sys.exit("error: wrk is missing; install it (Debian: apt-get install wrk; macOS: brew install wrk)")
    if not options.no_build:
        build()
    end_on_sigterm()
    bench = Bench(options)
    for name in options.cases or CASES:
        print(f"{name}: {CASES[name].__doc__}", flush=True)
        for rows in CASES[name](bench):
            # Written after each round, so that a run that is cut off has not been for nothing.
            report.write({name: rows}, bench)


def parse() -> argparse.Namespace:
    cases = "\n".join(f"  {name:10} {case.__doc__}" for name, case in CASES.items())
    parser = argparse.ArgumentParser(description=f"{__doc__}\ncases:\n{cases}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="case", choices=[*CASES, []], help="default: all")
    parser.add_argument("--photos", type=Path, help="a folder of pictures (default: synthetic ones of 500x375)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of everyone (default: 3)")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement (default: 5)")
    parser.add_argument("--clients", type=int, default=16, help="where a case does not say (default: 16)")
    parser.add_argument("--peers", nargs="*", metavar="PEER", help="only these, as in LitServe FastAPI (default: all)")
    parser.add_argument("--no-build", action="store_true", help="take what is in target/release as it is")
    options = parser.parse_args()
    options.photos = options.photos and options.photos.resolve()
    return options


if __name__ == "__main__":
    main()
