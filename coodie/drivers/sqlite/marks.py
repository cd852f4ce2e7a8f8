"""
What a flush applied, noted in the transactions that applied it, for whoever must know after the flush's process died.

Rules that live here:

* A flush is known by the text of its writer and a number; an item by its index in the work of that flush.
* The note is written in the transaction that writes the items, so it is there if and only if they are.
* A writer's next flush removes the notes of the flush before it, where the same driver wrote that one: its caller was
  told everything. Notes of a process that died stay until ``forget``: they may be asked for, table by table, when
  other tables are written again already.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from coodie.drivers.sqlite.groups import Group, Run

_NOTE = "INSERT INTO coodie_marks VALUES (?, ?, ?, ?)"
_LATEST = "SELECT max(flush) FROM coodie_marks WHERE writer = ?"
_NOTED = "SELECT runs FROM coodie_marks WHERE writer = ? AND flush = ? ORDER BY first"
_REMOVE = "DELETE FROM coodie_marks WHERE writer = ? AND flush = ?"
_FORGET = "DELETE FROM coodie_marks WHERE writer = ? AND flush < ?"


class Marks:
    """The notes of one flush, the one after ``previous`` (None: the first of this writer by this driver)."""

    def __init__(self, writer: str, flush: int, previous: int | None) -> None:
        self._writer = writer
        self._flush = flush
        self._previous = previous

    def note(self, connection: sqlite3.Connection, chunk: Sequence[Group]) -> None:
        """Note a chunk's items, inside the caller's transaction."""
        if self._previous is not None and self._previous != self._flush:
            connection.execute(_REMOVE, [self._writer, self._previous])
        runs = joined(run for group in chunk for run in group.runs)
        connection.execute(_NOTE, [self._writer, self._flush, runs[0][0], json.dumps(runs)])


def noted(connection: sqlite3.Connection, writer: str, flush: int | None) -> tuple[int, list[Run]] | None:
    """Return a flush of a writer (None: the latest noted) and the items it applied; None where nothing is noted."""
    if flush is None:
        (flush,) = connection.execute(_LATEST, [writer]).fetchone()
    texts = connection.execute(_NOTED, [writer, flush]).fetchall()
    if flush is None or not texts:
        return None
    return flush, joined((start, count) for (text,) in texts for start, count in json.loads(text))


def forget(connection: sqlite3.Connection, writer: str, before: int) -> None:
    """Remove the notes of a writer's flushes before this one."""
    connection.execute(_FORGET, [writer, before])


def joined(runs: Iterable[Run]) -> list[Run]:
    """Return runs in order, those that touch made one."""
    found: list[Run] = []
    for start, count in sorted(runs):
        if found and sum(found[-1]) == start:
            found[-1] = (found[-1][0], found[-1][1] + count)
        else:
            found.append((start, count))
    return found
