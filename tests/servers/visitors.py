"""
Threads that ask a site for pages over HTTP, and keep the account of what was answered.

Rules that live here: a site answers each page with the id of the process that served it; each request is a connection
of its own; what no worker answered may have been counted or not.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from urllib.error import HTTPError

from tests.integration.processes import LIMIT_S, fetch

SEED = 20_260_303
PAGES = 30


def ask(address: str, path: str) -> int:
    """Return the status of a page's answer."""
    try:
        fetch(address + path)
    except HTTPError as error:
        with error:
            return error.code
    return 200


class Visitors:
    """Threads that ask for pages; ``answered`` and ``failed`` are complete after the context."""

    def __init__(self, address: str, threads: int = 4, page: str = "/{}") -> None:
        self.answered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.workers: set[int] = set()
        self._address, self._page = address.removeprefix("http://"), page
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def _run(self, number: int) -> None:
        chance = random.Random(SEED + number)
        while not self._stop.is_set():
            page = self._page.format(chance.randrange(PAGES))
            worker = self._ask(page)
            with self._lock:
                (self.failed if worker is None else self.answered)[page] += 1
                if worker is not None:
                    self.workers.add(worker)

    def _ask(self, page: str) -> int | None:
        """Return the process that answered; None where none did."""
        try:
            with closing(http.client.HTTPConnection(self._address, timeout=LIMIT_S)) as connection:
                connection.request("GET", page)
                response = connection.getresponse()
                return int(response.read()) if response.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def wait(self, answers: int) -> None:
        """Wait until so many pages were answered."""
        self.wait_until(lambda: self.answered.total() >= answers, f"{answers} answers")

    def wait_for_workers(self, count: int) -> None:
        """Wait until so many workers have answered, each counted once."""
        self.wait_until(lambda: len(self.workers) >= count, f"{count} workers")

    def wait_until(self, is_so: Callable[[], bool], words: str) -> None:
        """Wait for something the visitors will see."""
        deadline = time.monotonic() + LIMIT_S
        while not is_so():
            counts = f"{self.answered.total()} answered by {len(self.workers)}, {self.failed.total()} failed"
            assert time.monotonic() < deadline, f"waited in vain for {words}: {counts}"
            time.sleep(0.005)

    def judge(self, totals: Mapping[str, int]) -> None:
        """Check, page by page: answered <= stored <= answered + not answered."""
        for page in sorted({*totals, *self.answered}):
            least = self.answered[page]
            assert least <= totals.get(page, 0) <= least + self.failed[page], page

    def __enter__(self) -> Visitors:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
