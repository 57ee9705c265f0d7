"""Other allocators in the C library's place, loaded before it: what they gain, and what memory they take."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from peers.servers import Server, resnet_serve

from compare.bench import THIS_SERVER, Bench
from compare.trials import Rows, by_turns

# Where Debian's packages libjemalloc2 and libmimalloc2.0 put them.
LIBRARIES = {name: Path("/usr/lib/x86_64-linux-gnu") / file
             for name, file in {"jemalloc": "libjemalloc.so.2", "mimalloc": "libmimalloc.so.2"}.items()}


def allocators(bench: Bench) -> Iterator[Rows]:
    """The front end and ResNet-50 with each allocator that is installed."""
    turns: dict[str, Callable[[], dict]] = {}
    found = {"as it is": None} | {name: library for name, library in LIBRARIES.items() if library.exists()}
    for model in (bench.trivial, bench.resnet50):
        for name, library in found.items():
            contestant = replace(THIS_SERVER, start=partial(start, library)) if library else THIS_SERVER
            turns[f"{model.name}, {name}"] = partial(bench.serve, contestant, model, bench.photos, bench.load())
    return by_turns(bench.options.rounds, turns)


def start(library: Path, model: Path) -> Server:
    return replace(resnet_serve(model), environment={"LD_PRELOAD": str(library)})
