"""Counting batches of lines in worker threads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from aggregator.cli.counting import Tally, count_all
from coodie.exceptions import InvalidQueryError


def line(url: str) -> bytes:
    return b'h - - [17/May/2015:10:05:03 +0000] "GET %b HTTP/1.1" 200 5' % url.encode()


class Sink:
    """Takes increments as a counter document does."""

    def __init__(self, refuses: str = "", breaks_at: str = "") -> None:
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._refuses, self._breaks_at = refuses, breaks_at

    def __call__(self, url: str) -> None:
        if url == self._refuses:
            raise InvalidQueryError("no such key")
        if url == self._breaks_at:
            raise RuntimeError("the buffer is full")
        with self._lock:
            self.counts[url] += 1


@pytest.mark.parametrize("workers", [1, 4])
def test_every_line_is_counted_once(workers: int) -> None:
    """Whichever thread gets it, and bad lines apart."""
    sink = Sink()
    tally = count_all([[line(f"/{number % 7}"), b"bad"] * 3 for number in range(700)], sink, workers)
    assert tally == Tally(Counter({f"/{number}": 300 for number in range(7)}), bad_lines=2100)
    assert sink.counts == tally.urls
    assert tally.hits == 2100


def test_what_the_mapper_refuses_is_a_bad_line() -> None:
    tally = count_all([[line("/good"), line("/refused"), line("/good")]], Sink(refuses="/refused"), 1)
    assert (tally.urls, tally.bad_lines, tally.error) == ({"/good": 2}, 1, None)


def test_an_error_stops_the_reading_and_keeps_what_was_counted() -> None:
    def batches() -> Iterator[list[bytes]]:
        yield [line("/a"), line("/full"), line("/never")]
        while True:  # ends only because the counting does
            yield [line("/b")]

    sink = Sink(breaks_at="/full")
    tally = count_all(batches(), sink, 1)
    assert str(tally.error) == "the buffer is full"
    assert tally.urls == sink.counts
    assert "/never" not in tally.urls


def test_an_interrupt_keeps_what_was_counted() -> None:
    def batches() -> Iterator[list[bytes]]:
        yield from [[line("/a")]] * 10
        raise KeyboardInterrupt

    tally, sink = Tally(), Sink()
    with pytest.raises(KeyboardInterrupt):
        count_all(batches(), sink, 2, into=tally)
    assert tally.urls == sink.counts == {"/a": 10}


def test_urls_are_announced_before_they_are_incremented() -> None:
    """By every thread, so that a row can be read before it changes."""
    announced: set[str] = set()

    def increment(url: str) -> None:
        assert url in announced

    tally = count_all([[line("/a"), b"bad", line("/b")], [line("/c")]], increment, 2, announced.update)
    assert tally.error is None
    assert announced == {"/a", "/b", "/c"}


def test_an_announcement_that_fails_counts_nothing_of_its_batch() -> None:
    def announce(urls: set[str]) -> None:
        raise RuntimeError("the rows cannot be read")

    sink = Sink()
    tally = count_all([[line("/a")]], sink, 1, announce)
    assert str(tally.error) == "the rows cannot be read"
    assert tally.hits == 0 == sink.counts.total()
