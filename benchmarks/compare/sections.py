"""What each case is called, what is said of it, and which of its figures are shown."""

from collections.abc import Callable
from dataclasses import dataclass

from compare import plot
from compare.bench import OURS, TIMES_AS_LONG
from compare.int8 import INT8_APART
from compare.machine import int8_instructions
from compare.trials import Rows, median


@dataclass(frozen=True)
class Column:
    head: str
    key: str
    digits: int
    spread: bool = False


RATE = Column("images/s", "per_second", 1, spread=True)
P50, P99 = Column("p50 ms", "p50_ms", 1), Column("p99 ms", "p99_ms", 1)
CPU, MEMORY = Column("CPU ms a request", "cpu_ms", 2), Column("memory MiB", "memory_mib", 0)
LOAD = [RATE, P50, P99, CPU, MEMORY]
START = [Column("start to ready, s", "seconds_to_ready", 2, spread=True), Column("peak RSS, MiB", "peak_mib", 0),
         Column("memory MiB", "memory_mib", 0), Column("before the first session, MiB", "before_mib", 0)]


@dataclass(frozen=True)
class Section:
    title: str
    text: str
    columns: list[Column]
    draw: Callable[[Rows], str] | None = None
    # How it is measured, where that is not by rounds of load.
    conditions: str = ""
    # As the options say.
    times_as_long: int = 1
    # What of the processor the figures depend on besides, said when they are measured.
    processor: Callable[[], str] | None = None


def rate_bars(heading: str) -> Callable[[Rows], str]:
    return lambda rows: plot.bars(heading, {name: [row["per_second"] for row in found] for name, found in rows.items()}, OURS)


def client_points(rows: Rows) -> str:
    found = {name.rpartition(" ")[2]: (float(name.rpartition(" ")[2]), median(rows[name], "per_second")) for name in rows}
    return plot.points("ResNet-50 by clients", ("clients", "images per second"), found)


def paper_points(rows: Rows) -> str:
    found = {name: (median(found, "giga_multiply_adds"), median(found, "p50_ms")) for name, found in rows.items()}
    return plot.points("Time for a picture, one client", ("multiply-adds, G", "ms"), found)


def int8_bars(rows: Rows) -> str:
    one = ", resnet50"
    found = {name.replace(one, ""): [row["per_second"] for row in rows[name]] for name in rows if one in name}
    return plot.bars("ResNet-50 in float32 and in 8 bits, images per second", found, OURS)


SECTIONS = {
    "front-end": Section(
        "(a) The front end alone", "A network that costs next to nothing, so that what is left is the server: HTTP, "
        "decoding, resizing, JSON. `forms` is this server with uploads as LitServe, FastAPI and BentoML take them, and what they are "
        "compared with above; MLServer, which takes base64 in JSON, and PyTriton, with its binary data, are compared with "
        "raw bodies.",
        LOAD, rate_bars("JPEG uploads, images per second, network next to nothing")),
    "resnet50": Section(
        "(b) ResNet-50 at 224×224", "Beside loops of Pillow and ONNX Runtime without a server, as many threads × threads of "
        "a session as they say.", LOAD, rate_bars("ResNet-50, images per second"), times_as_long=TIMES_AS_LONG),
    "idle": Section(
        "(b) ResNet-50, one client", "The number is the threads of a session. The loop decodes with Pillow and runs once, in "
        "the same process, with nobody between.",
        [P50, P99, Column("decode ms", "decode_ms", 1), Column("run ms", "run_ms", 1)]),
    "default": Section("(c) The default model", "", LOAD),
    "tensors": Section(
        "(d) Raw tensors", "`FP32 [1, 3, 224, 224]` by the Open Inference Protocol to the network of (a), as binary data and "
        "as JSON; MLServer's HTTP takes only JSON.", LOAD),
    "large": Section(
        "(e) Photos of 12 megapixels", "To the network of (a). All decode JPEG at a reduced scale where twice the target's "
        "resolution remains, the peers by Pillow's `draft`; `decoding in full` is what Pillow does without it. "
        "`decoding` is this server's own figure for the stage, with one "
        "client. Photos that were made larger have few bytes for their size; with grain they have as many as a camera's.",
        [RATE, P50, CPU, MEMORY, Column("decode and resize, ms", "decode_ms", 2, spread=True), Column("kB", "kilobytes", 0)]),
    "clients": Section(
        "(f) 1 to 256 clients", "ResNet-50, for 20 s each and with `--request-timeout=60s`, because 256 wait for ten seconds. "
        "The client is `examples/load`, which waits for the last answers; wrk leaves before them.", LOAD,
        client_points),
    "start": Section(
        "(g) Start and memory", "ResNet-50, from the command to the first `ready`, when every batch size has been run. Peak RSS "
        "counts pages that processes share once for each of them; memory counts them once. Bare ONNX Runtime is a Python "
        "process with as many sessions and threads and the same first runs; its time begins when its modules are loaded, and "
        "what memory it has then is not counted against it above.",
        START),
    "papers": Section(
        "(h) The paper's networks", "One client, so that a picture has one session to itself.",
        [Column("multiply-adds, G", "giga_multiply_adds", 2), P50, P99, CPU, MEMORY], paper_points),
    "int8": Section(
        "(i) Networks in 8 bits", "The default model and the ResNet-50 of (b), each in float32 and as `resnet-serve model quantize` "
        "writes it, calibrated with the pictures that are sent. The peers serve the same int8 file. `÷ float32` is the median of "
        "the rounds' ratios of images/s here. The gain depends on the processor: without instructions that multiply 8-bit "
        "numbers and add up the products (VNNI on x86, dot products on arm64) it is less; those that this one has are "
        "named below the table. `probability apart` is the median over all pictures through the default model in 8 bits; more than "
        f"{INT8_APART:g} ends the run. The tolerance is wider than that of float32 under \"The peers\", because rounding to 8 bits "
        "amplifies the differences between two decoders.",
        [RATE, Column("÷ float32", "of_float32", 2, spread=True), P50, P99, CPU, MEMORY, Column("probability apart", "apart", 4)],
        int8_bars, times_as_long=TIMES_AS_LONG, processor=lambda: f"instructions for 8 bits: {int8_instructions()}"),
    "telemetry": Section(
        "What it costs to be watched", "The network of (a). On: a line of log for each request as JSON, every request traced and "
        "its spans sent by OTLP over HTTP to a receiver on the same cores, metrics scraped every second. Above are medians of the rounds' ratios.",
        LOAD, times_as_long=TIMES_AS_LONG),
    "instructions": Section(
        "Instructions for a request", "Of (a), counted by callgrind, which executes the program on a processor of its own making: "
        "not a time, but the same on every run. One client sends every picture once, in another run twice; shown is the difference, "
        "so that the start is in neither. What the kernel does is not counted.",
        [Column("million instructions", "millions", 3), Column("%", "percent", 1)],
        conditions="each through callgrind once"),
    "profile": Section(
        "Where the time goes", "Under load, sampled by perf: [the flame graph of (a)](compare/profile-front-end.svg), and "
        "[that of (b)](compare/profile-resnet50.svg). The table has a sample where the innermost function that is known by name "
        "belongs.",
        [Column("% of (a)", "front-end", 1), Column("% of (b)", "resnet50", 1)]),
    "allocators": Section(
        "Other allocators", "In the C library's place by `LD_PRELOAD`: the network of (a), and ResNet-50.", LOAD),
}
