"""
The tables that processes of these tests count in, and the account two processes keep of it together.

Rules that live here:

* Two tables of several columns, so that an increment stores more than one number and a flush more than one table.
* The account is a mapped file: what a process noted there is seen by the test whatever became of the process. A call is
  noted before it is made and again when it has returned; what lies between the two may be stored or not.
* Some rows only fall, the others only rise, so what a row may hold has one lower and one upper bound.
"""

from __future__ import annotations

import mmap
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from coodie.fields import ClusteringKey, Counter, PrimaryKey
from coodie.sync import CounterDocument

ROWS = 200
"""Rows of each table."""

COLUMNS = {"hits": ("views", "likes"), "days": ("seen", "bots", "errors")}
CELLS = sum(ROWS * len(columns) for columns in COLUMNS.values())


def models(kind: str, face: type[Any] = CounterDocument) -> dict[str, type[Any]]:
    """Return the two models of a face, by the name of their table."""

    class Hits(face):
        url: Annotated[str, PrimaryKey()]
        views: Annotated[int, Counter()]
        likes: Annotated[int, Counter()]

        class Settings:
            name = "hits"
            counters = kind

    class Days(face):
        site: Annotated[str, PrimaryKey()]
        day: Annotated[int, ClusteringKey()]
        seen: Annotated[int, Counter()]
        bots: Annotated[int, Counter()]
        errors: Annotated[int, Counter()]

        class Settings:
            name = "days"
            counters = kind

    return {"hits": Hits, "days": Days}


def key(table: str, row: int) -> dict[str, Any]:
    """Return the key of a row."""
    return {"url": f"/{row}"} if table == "hits" else {"site": f"site {row // 20}", "day": row % 20}


def cell(table: str, row: int, column: str) -> int:
    """Return the place of a counter in the account."""
    before = 0 if table == "hits" else ROWS * len(COLUMNS["hits"])
    return before + row * len(COLUMNS[table]) + COLUMNS[table].index(column)


def sign(row: int) -> int:
    """Return whether a row rises or falls."""
    return -1 if row % 5 == 0 else 1


class Account:
    """What was begun and what has returned, of each counter and by each thread, in one file."""

    def __init__(self, path: Path, threads: int) -> None:
        size = (threads * 2 * CELLS + threads) * 8
        if not path.exists():
            path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self._numbers = memoryview(mmap.mmap(file.fileno(), size)).cast("q")
        self._threads = threads
        self._calls = self._numbers[threads * 2 * CELLS :]

    def increment(self, thread: int, model: type[Any], table: str, row: int, deltas: dict[str, int]) -> None:
        """Make one increment, noted before and after."""
        begun = thread * 2 * CELLS
        for column, delta in deltas.items():
            self._numbers[begun + cell(table, row, column)] += delta
        model(**key(table, row)).increment(**deltas)
        for column, delta in deltas.items():
            self._numbers[begun + CELLS + cell(table, row, column)] += delta
        self._calls[thread] += 1

    def calls(self) -> int:
        """Return how many calls have returned."""
        return sum(self._calls)

    def bounds(self) -> list[tuple[int, int]]:
        """Return for each counter the least and the most it may hold."""
        parts = [self._numbers[at * CELLS : (at + 1) * CELLS].tolist() for at in range(2 * self._threads)]
        begun = [sum(numbers) for numbers in zip(*parts[0::2], strict=True)]
        returned = [sum(numbers) for numbers in zip(*parts[1::2], strict=True)]
        return [(min(pair), max(pair)) for pair in zip(returned, begun, strict=True)]

    def wrong(self, stored: list[int], unknown: list[int] | None = None) -> list[str]:
        """Return a line for each counter that is not what it may be; ``unknown``: net units set apart."""
        found = []
        apart = unknown or [0] * CELLS
        for place, (least, most), units, doubt in zip(range(CELLS), self.bounds(), stored, apart, strict=True):
            lower, upper = least - max(doubt, 0), most - min(doubt, 0)
            if not lower <= units <= upper:
                found.append(f"counter {place}: stored {units}, allowed {lower}..{upper}")
        return found


def steps(chance: random.Random) -> Iterator[tuple[str, int, dict[str, int]]]:
    """Yield (table, row, deltas) for ever: some rows far more often than others, one column or several."""
    while True:
        table = chance.choice(("hits", "days"))
        row = min(int(chance.expovariate(1 / 30)), ROWS - 1)
        columns = COLUMNS[table]
        some = columns[: chance.randrange(2, len(columns) + 1)] if chance.random() < 0.3 else (chance.choice(columns),)
        yield table, row, {column: sign(row) * (1 if len(some) == 1 else chance.randrange(1, 9)) for column in some}


def stored(kind: str) -> list[int]:
    """Return what the database holds, read by the mapper."""
    found = [0] * CELLS
    for table, model in models(kind).items():
        places = {tuple(key(table, row).values()): row for row in range(ROWS)}
        for document in model.find():
            row = places[tuple(getattr(document, name) for name in key(table, 0))]
            for column in COLUMNS[table]:
                found[cell(table, row, column)] = getattr(document, column)
    return found


def apart(items: list[Any]) -> list[int]:
    """Return the net units of ``unknown()`` or ``rejected()``, by counter."""
    found = [0] * CELLS
    for item in items:
        table = item.table.rpartition(".")[2]
        row = next(row for row in range(ROWS) if key(table, row) == item.key)
        for column, delta in item.deltas.items():
            found[cell(table, row, column)] += delta
    return found
