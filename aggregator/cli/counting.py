"""
Counting: batches of log lines become increments, in the worker threads of one process.

Rules that live here:

* One thread, the caller's, reads; ``workers`` threads parse and increment. They share one aggregator, which merges
  what they count.
* At most ``2 * workers`` batches wait, so reading never runs ahead of counting.
* A line that the mapper refuses is a bad line, as one that cannot be parsed.
* What goes wrong in a worker stops the reading and is kept in ``Tally.error``; what was counted until then counts.
  The same holds when the caller is interrupted.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from aggregator.cli.access_log import target
from coodie.exceptions import InvalidQueryError


@dataclass
class Tally:
    """What was counted: hits per url, and how many lines were bad."""

    urls: Counter[str] = field(default_factory=Counter)
    bad_lines: int = 0
    error: Exception | None = None

    @property
    def hits(self) -> int:
        """Return the number of hits counted."""
        return self.urls.total()

    def merge(self, other: Tally) -> None:
        """Add what another tally counted; the first error stays."""
        self.urls.update(other.urls)
        self.bad_lines += other.bad_lines
        self.error = self.error or other.error


def count_all(
    batches: Iterable[list[bytes]],
    increment: Callable[[str], None],
    workers: int,
    announce: Callable[[set[str]], None] = lambda urls: None,
    into: Tally | None = None,
) -> Tally:
    """
    Count every line of every batch and return the tally.

    ``announce`` hears the urls of a batch before the first of them is incremented; it may read them and is called from
    several threads. ``into`` is filled as the work proceeds, so that an interrupted caller has what was counted.
    """
    tally = Tally() if into is None else into
    window: deque[Future[Tally]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="replay") as pool:
        try:
            for batch in batches:
                window.append(pool.submit(_count, batch, increment, announce))
                while len(window) > 2 * workers:
                    _settle(window, tally)
                if tally.error:
                    break
        finally:
            while window:
                _settle(window, tally)
    return tally


def _settle(window: deque[Future[Tally]], tally: Tally) -> None:
    """Merge the oldest batch; it leaves the window only once it is merged, since waiting may be interrupted."""
    tally.merge(window[0].result())
    window.popleft()


def _count(lines: list[bytes], increment: Callable[[str], None], announce: Callable[[set[str]], None]) -> Tally:
    """Count one batch; never raises, so that no count is lost with an error."""
    tally = Tally()
    targets = [target(line) for line in lines]
    try:
        announce({url for url in targets if url is not None})
        for url in targets:
            if url is None or not _incremented(url, increment):
                tally.bad_lines += 1
            else:
                tally.urls[url] += 1
    except Exception as error:
        tally.error = error
    return tally


def _incremented(url: str, increment: Callable[[str], None]) -> bool:
    """Count one hit; False when the mapper refuses the url."""
    try:
        increment(url)
    except InvalidQueryError:
        return False
    return True
