"""Networks in 8 bits beside the same ones in float32: here, and in peers that are given the same file."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from peers.peers import PEERS
from peers.servers import BINARY

from compare.bench import MADE, OURS, THIS_SERVER, Bench, apart, predictions
from compare.trials import Rows, by_turns

FLOAT32, INT8 = "float32", "int8"
WITH_THE_SAME_FILE = ("LitServe", "FastAPI")
# Of the median picture. What Pillow decodes or resizes differently, by one level of a pixel, may be rounded to another step
# of 8 bits: 0.006 was seen over 40 photographs, two of which got another class, where float32 has 0.0001 and none.
INT8_APART = 0.02


def int8(bench: Bench) -> Iterator[Rows]:
    """(i) Networks in 8 bits, beside the same ones in float32."""
    models = {model: quantized(model, bench.photos) for model in (bench.default, bench.resnet50)}
    peers = [name for name in WITH_THE_SAME_FILE if name in bench.contestants]
    turns: dict[str, Callable[[], dict]] = {}
    for model, in_8_bits in models.items():
        turns[row_name(OURS, model, FLOAT32)] = serving(bench, OURS, model)
        turns |= {row_name(name, model, INT8): serving(bench, name, in_8_bits) for name in (OURS, *peers)}
    agreed = agreement(bench, peers, models[bench.default])
    agreed = {row_name(name, bench.default, INT8): found for name, found in agreed.items()}
    return (finished(rows, agreed) for rows in by_turns(bench.options.rounds, turns))


def quantized(model: Path, photos: list[Path]) -> Path:
    """Made anew each time, because the photos may be others than those of the last run."""
    folder = MADE / "models" / f"{model.name}-int8"
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [str(part) for part in (BINARY, "model", "quantize", model, "--data", photos[0].parent, "-o", folder, "--force")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return folder


def row_name(who: str, model: Path, kind: str) -> str:
    return f"{who}, {model.name}, {kind}"


def serving(bench: Bench, who: str, model: Path) -> Callable[[], dict]:
    # As in (b): of five seconds, what is under way when wrk leaves would be a tenth.
    return partial(bench.serve, bench.contestants[who], model, bench.photos, bench.longer_load())


def agreement(bench: Bench, peers: list[str], model: Path) -> dict[str, float]:
    """Every picture here and there; not through random weights, for the reason of `Bench.agrees`."""
    ours = bench.best_classes(THIS_SERVER, predictions, model, bench.photos)
    best = {peer.name: peer.best for peer in PEERS}
    theirs = {name: bench.best_classes(bench.contestants[name], best[name], model, bench.photos) for name in peers}
    return {name: apart(name, ours, found, INT8_APART) for name, found in theirs.items()}


def finished(rows: Rows, agreed: dict[str, float]) -> Rows:
    """With how many times as fast as in float32 this server was in the same round, and how far peers are apart."""
    done = {name: [row | ({"apart": agreed[name]} if name in agreed else {}) for row in found] for name, found in rows.items()}
    for name in (name for name in rows if name.startswith(OURS) and name.endswith(INT8)):
        in_float32 = rows[name.removesuffix(INT8) + FLOAT32]
        done[name] = [row | {"of_float32": row["per_second"] / base["per_second"]}
                      for row, base in zip(done[name], in_float32, strict=True)]
    return done
