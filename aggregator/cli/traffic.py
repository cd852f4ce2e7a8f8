"""
Traffic for the demo: threads that ask a server on this host for pages over HTTP and count the answers per page.

Rules that live here: page popularity follows Zipf's law, as that of real sites does; a hit counts as sent when its
answer has come, so that the totals must agree with what the server stored once the threads have stopped. Each request
bears ``HEADER`` with the token of this run: by it the server tells this traffic from anyone who looks at a page.
"""

from __future__ import annotations

import http.client
import itertools
import random
import threading
from collections import Counter
from types import TracebackType

TOKEN = "AGGREGATOR_DEMO_TOKEN"  # the variable by which the server is told the token  # noqa: S105 - a name
HEADER = "x-demo-traffic"
PAGES = tuple(f"/articles/{number}" for number in range(1, 201))
_WEIGHTS = list(itertools.accumulate(1 / rank for rank in range(1, len(PAGES) + 1)))
_TIMEOUT_S = 10


class Traffic:
    """A context in which ``threads`` keep-alive connections send one request after another."""

    def __init__(self, host: str, port: int, token: str, threads: int = 2, seed: int = 1) -> None:
        self.sent: Counter[str] = Counter()
        self.error: Exception | None = None
        self._host, self._port = host, port
        self._headers = {HEADER: token}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._drive, args=(seed + number,), name=f"traffic-{number}")
            for number in range(threads)
        ]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def hits(self) -> int:
        """Return how many requests were answered so far."""
        with self._lock:
            return self.sent.total()

    @property
    def is_running(self) -> bool:
        """Return whether no connection has broken yet."""
        return self.error is None

    def _drive(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - it chooses pages
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        try:
            while not self._stop.is_set() and self.error is None:
                self._visit(connection, chance.choices(PAGES, cum_weights=_WEIGHTS)[0])
        except (OSError, http.client.HTTPException) as error:
            self.error = error
        finally:
            connection.close()

    def _visit(self, connection: http.client.HTTPConnection, page: str) -> None:
        connection.request("GET", page, headers=self._headers)
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise http.client.HTTPException(f"the server answered {response.status} to {page}")
        with self._lock:
            self.sent[page] += 1
