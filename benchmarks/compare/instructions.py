"""How many instructions a request takes, which does not depend on who else is using the machine."""

import http.client
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from peers.servers import resnet_serve

from compare import callgrind
from compare.bench import MADE, Bench
from compare.groups import group
from compare.trials import Rows

ALL = "**all**"


def instructions(bench: Bench) -> Iterator[Rows]:
    """Instructions a request of (a), counted by callgrind."""
    if not shutil.which("valgrind"):
        print("skipped: valgrind is not installed (Debian: apt-get install valgrind)", flush=True)
        return
    once, twice = (counted(bench, passes) for passes in (1, 2))
    yield rows(Counter({name: twice[name] - once[name] for name in once | twice}), len(bench.photos))


def counted(bench: Bench, passes: int) -> Counter[callgrind.Function]:
    """A server from its start to its end, with every picture so many times."""
    file = MADE / "callgrind.out"
    file.unlink(missing_ok=True)
    # The program executes itself anew to set variables.
    wrapper = ["valgrind", "--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={file}"]
    server = resnet_serve(bench.trivial, wrapper=wrapper)
    # It writes what it has counted when it ends.
    server.farewell = 60
    with server:
        for _ in range(passes):
            post_all(server.url, bench.photos)
    if not file.exists():
        sys.exit("error: callgrind has written nothing")
    return callgrind.costs(file)


def post_all(url: str, pictures: list[Path]) -> None:
    """One after another, over one connection."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    for picture in pictures:
        connection.request("POST", parts.path, picture.read_bytes())
        response = connection.getresponse()
        said = response.read()
        if response.status != 200:
            sys.exit(f"error: {picture.name}: {response.status} {said.decode(errors='replace')}")
    connection.close()


def rows(difference: Counter[callgrind.Function], requests: int) -> Rows:
    """By group, the largest first."""
    groups: Counter[str] = Counter()
    for (object_file, function), count in difference.items():
        groups[group(f"{object_file}:{function}")] += count
    total = groups.total()
    named = [(ALL, total), *groups.most_common()]
    return {name: [{"millions": count / requests / 1e6, "percent": 100 * count / total}] for name, count in named}
