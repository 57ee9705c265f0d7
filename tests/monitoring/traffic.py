"""Requests of every kind, good and bad."""

import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from support import Service, picture

PNG = picture()
HEAD = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


def good(service: Service, seconds: float, at_a_time: int = 2) -> None:
    """Pictures, one after the other from each of some clients."""
    end = time.monotonic() + seconds

    def client(_: int) -> None:
        while time.monotonic() < end:
            assert service.classify(PNG) == 200

    with ThreadPoolExecutor(at_a_time) as clients:
        list(clients.map(client, range(at_a_time)))


def mixed(service: Service) -> set[int]:
    """Some of everything; the statuses that came."""
    statuses = {service.classify(PNG), service.classify(b"no picture"), service.classify(PNG, "?top_k=0")}
    statuses.add(service.classify(b"{}", headers={"content-type": "application/json"}))
    return statuses | crowd(service, 100)


def with_key(service: Service, key: str) -> int:
    """A picture from somebody who has a key."""
    return service.classify(PNG, headers={"content-type": "image/png", "x-api-key": key})


def crowd(service: Service, requests: int) -> set[int]:
    """More at a time than a small queue takes."""
    with ThreadPoolExecutor(requests) as clients:
        return set(clients.map(lambda _: service.classify(PNG), range(requests)))


def stand_still(service: Service, clients: int, seconds: float) -> None:
    """Requests that the service has begun when it is stopped for so long."""
    head = (HEAD % len(PNG)).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
    begun = [service.connect(head) for _ in range(clients)]
    for connection in begun:
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
    service.signal(signal.SIGSTOP)
    for connection in begun:
        connection.sendall(PNG)
    time.sleep(seconds)
    service.signal(signal.SIGCONT)
    for connection in begun:
        with connection, connection.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 "), "each has an answer"


def leave(service: Service, clients: int) -> None:
    """Clients that ask and go away."""
    for _ in range(clients):
        service.connect(HEAD % len(PNG) + PNG).close()


def half_a_body(service: Service, announced: int, sent: int) -> socket.socket:
    """A client that goes on holding what it has sent so far."""
    return service.connect(HEAD % announced + bytes(sent))


class Background:
    """Traffic beside what happens in the block."""

    def __init__(self, send) -> None:
        self.over = threading.Event()

        def loop() -> None:
            while not self.over.is_set():
                send()

        self.thread = threading.Thread(target=loop)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
