"""
Threads that count while something breaks, and remember what was accepted.

Rules that live here:

* An increment is accepted once its call has returned; one that raises (BufferFull) was not and is not remembered.
* Rows are named for what happens to them: ``<prefix>/up/3`` only grows, ``/down/`` only falls, ``/both/`` does both.
* Each thread's choices are seeded; how many it makes while a fault lasts is not, which is why totals are remembered
  and not computed.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Annotated, Any

import coodie.sync
from aggregator import FlushResult
from aggregator.exceptions import BufferFull
from coodie.fields import Counter as CounterColumn
from coodie.fields import PrimaryKey

SEED = 20_260_204
PAUSE_S = 0.001  # between increments, so that a load of threads leaves the machine to the database


def document(table: str, kind: str = "native", driver: str = "default", face: Any = coodie.sync) -> type[Any]:
    """Return a model of page hits on a table of its own, over the connection named as the driver."""
    parent: Any = face.CounterDocument

    class Hits(parent):  # type: ignore[misc] # the parent is chosen at run time
        url: Annotated[str, PrimaryKey()]
        views: Annotated[int, CounterColumn()]

        class Settings:
            name = table
            counters = kind
            connection = driver

    return Hits


class Load:
    """Increment documents from threads for the time of the context. ``accepted`` is complete after it."""

    def __init__(
        self,
        documents: Sequence[type[Any]],
        prefix: str,
        rows: int = 12,
        threads: int = 2,
        kinds: Sequence[str] = ("up", "down", "both"),
    ) -> None:
        self.accepted: dict[type[Any], Counter[str]] = {each: Counter() for each in documents}
        self.refused = 0
        self.rows = [f"{prefix}/{kind}/{number}" for kind in kinds for number in range(rows)]
        self._documents = list(documents)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def count(self, document: type[Any], row: str, units: int) -> bool:
        """Make one increment for this load's account, from any thread; return whether it was accepted."""
        try:
            document(url=row).increment(views=units)
        except BufferFull:
            return False
        with self._lock:
            self.accepted[document][row] += units
        return True

    def mixed(self) -> list[str]:
        """Return the rows that both grow and fall."""
        return [row for row in self.rows if "/both/" in row]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if error is None and self._errors:
            raise self._errors[0]

    def _run(self, number: int) -> None:
        chance = random.Random(SEED + number)
        accepted = {each: Counter[str]() for each in self._documents}
        refused = 0
        try:
            while not self._stop.wait(PAUSE_S):
                refused += self._one(chance, accepted)
        except BaseException as error:
            self._errors.append(error)
        with self._lock:
            self.refused += refused
            for each, units in accepted.items():
                for row, count in units.items():
                    self.accepted[each][row] += count

    def _one(self, chance: random.Random, accepted: dict[type[Any], Counter[str]]) -> int:
        each, row, units = chance.choice(self._documents), chance.choice(self.rows), chance.randrange(1, 4)
        falls = "/down/" in row or ("/both/" in row and chance.random() < 0.5)
        units = -units if falls else units
        try:
            each(url=row).increment(views=units)
        except BufferFull:
            return 1
        accepted[each][row] += units
        return 0


class Flushes:
    """Every result of a flush, as ``on_flush`` gives them; tests wait here for what a fault does."""

    def __init__(self) -> None:
        self.results: list[FlushResult] = []
        self._news = threading.Condition()

    def __call__(self, result: FlushResult) -> None:
        with self._news:
            self.results.append(result)
            self._news.notify_all()

    def wait(self, wanted: Callable[[FlushResult], object], seconds: float = 60) -> FlushResult:
        """Return the first result from now on that is wanted; fail after ``seconds``."""
        with self._news:
            seen = len(self.results)
            found = self._news.wait_for(lambda: [each for each in self.results[seen:] if wanted(each)], seconds)
            assert found, f"no flush as wanted within {seconds:.0f} s; the last: {self.results[-3:]}"
            return found[0]

    def wait_until(self, ready: Callable[[], object], seconds: float = 60) -> None:
        """Return when something that no flush tells is so; fail after ``seconds``."""
        deadline = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < deadline, f"not so within {seconds:.0f} s; the last: {self.results[-3:]}"
            with self._news:
                self._news.wait(0.05)


def quiesce(aggregator: Any, seconds: float = 90) -> None:
    """Flush until no row is pending or in flight; fail after ``seconds``."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    result = aggregator.flush()
    while aggregator.pending():  # by row: what remains is a sum, in which a +1 and a -1 are nothing
        assert time.monotonic() < deadline, f"not all is written after {seconds:.0f} s: {result}"
        pause.wait(0.1)  # a database that comes back can only be polled
        result = aggregator.flush()
