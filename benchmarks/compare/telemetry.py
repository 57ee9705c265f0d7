"""What it costs to be watched: log, traces and scrapes, all on and all off."""

import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from peers.peers import raw
from peers.servers import Server, get, resnet_serve

from compare.bench import Bench
from compare.trials import Rows, by_turns

ON, OFF = "all on", "all off"
WITHOUT_TRACES = "without traces"
SCRAPES = 1  # seconds from one to the next, fifteen times as often as usual


class Collector(BaseHTTPRequestHandler):
    """Takes spans by OTLP over HTTP, and forgets them."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def telemetry(bench: Bench) -> Iterator[Rows]:
    """What it costs to be watched, on a network that costs nothing."""
    turns: dict[str, Callable[[], dict]] = {
        OFF: partial(silent, bench), WITHOUT_TRACES: partial(watched, bench, traced=False),
        ON: partial(watched, bench, traced=True)}
    return by_turns(bench.options.rounds, turns)


def silent(bench: Bench) -> dict:
    with resnet_serve(bench.trivial) as server:
        level = server.metrics_url.replace("/metrics", "/log-level")
        urllib.request.urlopen(urllib.request.Request(level, b"off", method="PUT"))
        return loaded(bench, server)


def watched(bench: Bench, traced: bool) -> dict:
    with ExitStack() as stack:
        flags = ["--log-format=json"]
        if traced:
            flags += ["--otlp-protocol=http", f"--otlp-endpoint={stack.enter_context(collector())}", "--trace-ratio=1"]
        server = stack.enter_context(resnet_serve(bench.trivial, flags=flags))
        stack.enter_context(scraping(server.metrics_url))
        return loaded(bench, server)


def loaded(bench: Bench, server: Server) -> dict:
    bodies = bench.bodies([raw(picture.read_bytes()) for picture in bench.photos])
    # What is looked for is less than the noise of shorter ones.
    return bench.loaded(server, server.url, bodies, bench.longer_load())


class Receiver(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """The server is killed with its connections open."""


@contextmanager
def collector() -> Iterator[str]:
    with Receiver(("127.0.0.1", 0), Collector) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{receiver.server_port}"
        receiver.shutdown()


@contextmanager
def scraping(url: str) -> Iterator[None]:
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(SCRAPES):
            get(url)

    thread = threading.Thread(target=scrape)
    thread.start()
    yield
    over.set()
    thread.join()
