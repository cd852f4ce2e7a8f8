"""
Two drivers over simulated databases: one of a cluster, one of the embedded store.

Rules that live here:

* ``weather`` says what may become of a message: applied, not sent, applied with the reply lost, timed out and not
  applied, applied later, applied twice. Counter updates are never applied twice: no driver of ours re-sends one.
* The cluster has several statements in flight and answers in any order. The embedded store writes a few at once, in
  a transaction with the flush's mark.
* A row that a database refuses is always refused; a table only while ``refused`` names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from coodie.exceptions import MaybeApplied, NotApplied, RowRejected, TableRejected
from coodie.statement import APPLIED, CounterUpdate, Fate, Outcome, Raw, Rows, Select, Statement
from tests.simulation.database import Database
from tests.simulation.stage import Stage

POISON = "poison"
"""A key that every database refuses."""

FATES = ("ok", "not sent", "reply lost", "timed out", "late", "twice")
ROUGH = (6, 2, 2, 1, 2, 1)
NOT_SENT = Outcome(Fate.NOT_APPLIED, NotApplied("not sent"))
UNKNOWN = Outcome(Fate.UNKNOWN, MaybeApplied("no reply"))
ROW = Outcome(Fate.REJECTED, RowRejected("the row is refused"))
TABLE = Outcome(Fate.REJECTED, TableRejected("the table is refused"))

Item = tuple[int, Statement, tuple[Any, ...]]


class Cluster:
    """A driver as of Cassandra; one object for all histories: ``stage`` and ``database`` are the current one's."""

    needs_keyspace = True
    _default_keyspace = "ks"
    request_timeout = 5.0
    stage: Stage
    database: Database

    def begin(self, stage: Stage, database: Database) -> None:
        """Serve a new history."""
        self.stage, self.database = stage, database
        self.is_rough = False
        self.is_away = False
        self.refused: set[str] = set()
        self.later: list[tuple[Any, tuple[Any, ...]]] = []  # on their way for longer than anyone waits

    def submit(self, statement: Statement) -> Rows:
        self.stage.pause()
        shape = statement.shape
        if isinstance(shape, Raw | Select):
            self._may_fail()
            if isinstance(shape, Raw):
                return Rows([{"now": self.stage.database_s() * 1000}])
            return self.database.select(shape, statement.values)
        outcome = self._meet(statement, statement.values)
        if outcome.error is not None:
            raise outcome.error
        return Rows()

    def _may_fail(self) -> None:
        self.stage.operation()
        if self.is_away or (self.is_rough and self.stage.chance(0.15)):
            raise (NotApplied if self.stage.chance(0.5) else MaybeApplied)("a read failed")

    def execute_many(self, work: Any, limit: int, settle: Any) -> None:
        flying: list[tuple[int, Outcome]] = []
        for index, (template, values) in enumerate(work):
            self.stage.pause()
            flying.append((index, self._meet(template, values)))
            while len(flying) >= limit or (flying and self.stage.chance(0.5)):
                settle(*flying.pop(self.stage.random.randrange(len(flying))))
        while flying:
            settle(*flying.pop(self.stage.random.randrange(len(flying))))
        self.stage.pause()

    def _meet(self, template: Statement, values: tuple[Any, ...]) -> Outcome:
        """Let one statement meet its fate."""
        shape: Any = template.shape
        self.stage.operation()
        fate = self._fate()
        if self.is_away:
            fate = "not sent"
        elif POISON in values:
            return ROW
        elif shape.table.full_name in self.refused:
            return TABLE
        if isinstance(shape, CounterUpdate) and fate == "twice":
            fate = "late"
        if fate in ("ok", "reply lost", "twice"):
            self.database.apply(shape, values)
        if fate in ("late", "twice"):
            self.later.append((shape, values))
        if fate != "ok":
            self.stage.note(f"    {fate}: {values}")
        self.stage.operation()
        return {"ok": APPLIED, "not sent": NOT_SENT}.get(fate, UNKNOWN)

    def _fate(self) -> str:
        if self.is_rough and self.stage.chance(0.02):
            self.stage.now += 30.0  # a slow one: the flush runs out of time
        return self.stage.random.choices(FATES, ROUGH)[0] if self.is_rough else "ok"

    def arrive(self, most: int) -> None:
        """Let some of what is late arrive, in any order."""
        for _ in range(min(most, len(self.later))):
            shape, values = self.later.pop(self.stage.random.randrange(len(self.later)))
            self.stage.note(f"    arrives late: {values}")
            self.database.apply(shape, values)


class Embedded(Cluster):
    """A driver as of the embedded store."""

    needs_keyspace = False
    _default_keyspace = None
    marks = True
    rows_at_once = 2

    def marked(self, writer: str, flush: int | None = None) -> tuple[int, list[tuple[int, int]]] | None:
        self._may_fail()
        noted = self.database.marks.get(writer, {})
        flush = max(noted, default=None) if flush is None else flush
        return (flush, noted[flush]) if flush in noted else None

    def forget_marks(self, writer: str, before: int) -> None:
        self._may_fail()
        noted = self.database.marks.get(writer, {})
        self.database.marks[writer] = {flush: runs for flush, runs in noted.items() if flush >= before}

    def execute_many(self, work: Any, limit: int, settle: Any, mark: tuple[str, int] | None = None) -> None:
        remaining: Iterator[Item] = ((index, *item) for index, item in enumerate(work))
        while chunk := list(islice(remaining, self.stage.random.randint(1, 4))):
            self.stage.pause()
            for part in _parts(chunk, self.refused):
                outcome = self._transaction(part, mark)
                for index, _template, _values in part:
                    settle(index, outcome)

    def _transaction(self, part: list[Item], mark: tuple[str, int] | None) -> Outcome:
        self.stage.operation()
        fate = "not sent" if self.is_away else self._fate()
        if any(POISON in values for _index, _template, values in part):
            return ROW
        if any(template.shape.table.full_name in self.refused for _index, template, _values in part):  # type: ignore[union-attr]  # writes have a table
            return TABLE
        if fate not in ("ok", "twice", "reply lost"):  # a transaction that failed is read back: it is surely not there
            self.stage.note("    not committed")
            return NOT_SENT
        for _index, template, values in part:
            self.database.apply(template.shape, values)
        if mark is not None:
            for index, _template, _values in part:
                self.database.mark(*mark, (index, 1))
        self.stage.operation()
        return APPLIED


def _parts(chunk: list[Item], refused: set[str]) -> list[list[Item]]:
    """Divide a chunk as the embedded store does: what is refused stands alone."""
    bad = [item for item in chunk if POISON in item[2] or item[1].shape.table.full_name in refused]  # type: ignore[union-attr]  # writes have a table
    good = [item for item in chunk if item not in bad]
    return [part for part in (good, *([item] for item in bad)) if part]
