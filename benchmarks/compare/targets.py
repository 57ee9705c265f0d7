"""How fast it means to be, on two cores, and how fast it was found to be in the same run."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from compare.bench import OURS
from compare.cases import BARE, FORMS, PILLOW
from compare.telemetry import OFF, ON, WITHOUT_TRACES
from compare.trials import Rows, best, median

# What a peer is compared with: the same uploads, or raw bodies where it takes neither these nor forms.
PEERS = {"LitServe": FORMS, "FastAPI": FORMS, "BentoML": FORMS, "MLServer": OURS, "PyTriton": OURS}

WATCHED = 0.98


@dataclass(frozen=True)
class Outcome:
    what: str
    bound: str
    measured: float
    met: bool
    # Whether another run might say the opposite, where that can be told.
    within_noise: bool = False

    @property
    def verdict(self) -> str:
        if self.within_noise:
            return "within the noise"
        return "met" if self.met else "**not met**"


def at_least(what: str, bound: float, measured: float) -> Outcome:
    return Outcome(what, f"≥ {bound:g}", measured, measured >= bound)


def at_most(what: str, bound: float, measured: float) -> Outcome:
    return Outcome(what, f"≤ {bound:g}", measured, measured <= bound)


def front_end(rows: Rows) -> Iterator[Outcome]:
    ratio = lambda ours, theirs, key: median(rows[ours], key) / median(rows[theirs], key)
    for peer, ours in PEERS.items():
        if peer in rows:
            how = ours.removeprefix(OURS)
            yield at_least(f"(a) images/s{how} ÷ {peer}", 8, ratio(ours, peer, "per_second"))
            yield at_most(f"(a) CPU for a request{how} ÷ {peer}", 0.2, ratio(ours, peer, "cpu_ms"))
    yield at_least("(a) images/s ÷ Pillow alone in as many threads as cores", 1.5, ratio(OURS, PILLOW, "per_second"))


def resnet50(rows: Rows) -> Iterator[Outcome]:
    loops = {name: found for name, found in rows.items() if name.startswith("bare loop")}
    name = best(loops, "per_second")
    ratio = median(rows[OURS], "per_second") / median(rows[name], "per_second")
    yield at_least(f"(b) images/s ÷ the best bare loop ({name.partition(', ')[2]})", 0.97, ratio)


def idle(rows: Rows) -> Iterator[Outcome]:
    for intra in (name.rpartition(" ")[2] for name in rows if name.startswith(OURS)):
        ratio = median(rows[f"{OURS}, {intra}"], "p50_ms") / median(rows[f"decode and run, {intra}"], "p50_ms")
        yield at_most(f"(b) idle p50 ÷ decode and one run, {intra} thread(s) each", 1.03, ratio)


def large(rows: Rows) -> Iterator[Outcome]:
    small = rows[f"{OURS} decoding, 500×375"]
    for kind in ("4000×3000", "4000×3000 with grain"):
        found = rows[f"{OURS} decoding, {kind}"]
        sizes = [f"{median(one, 'kilobytes'):.0f} kB" for one in (found, small)]
        what = f"(e) decode and resize, {kind}, {sizes[0]} ÷ 500×375, {sizes[1]}"
        yield at_most(what, 6, median(found, "decode_ms") / median(small, "decode_ms"))


def clients(rows: Rows) -> Iterator[Outcome]:
    most = median(rows[best(rows, "per_second")], "per_second")
    yield at_least("(f) images/s at 256 clients ÷ its best", 0.97, median(rows[f"{OURS}, 256"], "per_second") / most)


def start(rows: Rows) -> Iterator[Outcome]:
    bare = rows[BARE]
    ratio = median(rows[OURS], "seconds_to_ready") / median(bare, "seconds_to_ready")
    yield at_most("(g) start to ready ÷ bare ONNX Runtime", 1.3, ratio)
    ratio = median(rows[OURS], "peak_mib") / (median(bare, "peak_mib") - median(bare, "before_mib"))
    yield at_most("(g) peak memory ÷ bare ONNX Runtime without Python", 1.3, ratio)


def telemetry(rows: Rows) -> Iterator[Outcome]:
    for name in (WITHOUT_TRACES, ON):
        pairs = zip(rows[name], rows[OFF], strict=True)
        ratios = [on["per_second"] / off["per_second"] for on, off in pairs]
        found = at_least(f"images/s while watched, {name} ÷ all off", WATCHED, statistics.median(ratios))
        yield replace(found, within_noise=max(ratios) - min(ratios) > abs(found.measured - WATCHED))


TARGETS: dict[str, Callable[[Rows], Iterator[Outcome]]] = {
    "front-end": front_end, "resnet50": resnet50, "idle": idle, "large": large, "clients": clients, "start": start,
    "telemetry": telemetry}
