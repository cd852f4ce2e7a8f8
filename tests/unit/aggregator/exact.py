"""
Exact tables for tests of the aggregator: models, what they hold writer by writer, and ends without a goodbye.

Rules that live here: ``die`` leaves a journal as SIGKILL leaves it, in this process, so that a restart is cheap; what
it does not show (a real process) the tests of ``tests/processes`` do.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import coodie.aio
import coodie.sync
from aggregator import Aggregator, lifecycle
from coodie import connections, counters
from coodie.fields import ClusteringKey, Counter, PrimaryKey
from coodie.plans import exact
from coodie.run import run
from coodie.statement import Raw, Statement

ROOT = Path(__file__).parents[3]
PROGRAM = """
import json, os, sys
from aggregator.exceptions import JournalError
from coodie import drivers
from coodie.drivers.sqlite import SQLiteDriver
from coodie.testing import Fault, FaultyDriver
from tests.support.models import PageHits
from tests.unit.aggregator.exact import *
JOURNAL, DATABASE = map(Path, sys.argv[1:])
def connect(driver):
    drivers.register_driver("default", driver, default=True)
    for model in (ExactHits, DailyHits, PageHits):
        model.sync_table()
"""

Own = dict[tuple[Any, ...], dict[str, tuple[int, int]]]


class ExactHits(coodie.sync.CounterDocument):
    """An exact table of one key column."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    likes: Annotated[int, Counter()]

    class Settings:
        name = "exact_hits"
        counters = "exact"


class AsyncExactHits(coodie.aio.CounterDocument):
    """The same table, on the other face."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    likes: Annotated[int, Counter()]

    class Settings:
        name = "exact_hits"
        counters = "exact"


class DailyHits(coodie.sync.CounterDocument):
    """An exact table whose partitions have several rows."""

    site: Annotated[str, PrimaryKey()]
    day: Annotated[int, ClusteringKey()]
    views: Annotated[int, Counter()]

    class Settings:
        name = "daily_hits"
        counters = "exact"


def narrow(column: str, table: str = "exact_hits", kind: str = "exact") -> Any:
    """Return another model of a table keyed by url, which knows one of its counters alone."""
    annotations = {"url": Annotated[str, PrimaryKey()], column: Annotated[int, Counter()]}
    place = {"__module__": __name__, "__qualname__": "Narrow.Settings"}
    settings = type("Settings", (), {**place, "name": table, "counters": kind})
    body = {**place, "__qualname__": "Narrow", "__annotations__": annotations, "Settings": settings}
    return type(coodie.sync.CounterDocument)("Narrow", (coodie.sync.CounterDocument,), body)


def quiet(journal: Path | None = None, **options: Any) -> Aggregator:
    """Return an aggregator that flushes only when told to."""
    given: dict[str, Any] = (
        {"flush_interval": None} if journal is None else {"flush_interval": None, "journal": journal}
    )
    return Aggregator(**(given | options))


def sums(model: Any = ExactHits) -> dict[Any, dict[str, int]]:
    """Return what readers see, by key, zeros left out."""
    table = connections.resolve(model)[1]
    names = [column.name for column in table.primary_key]
    found = {}
    for row in model.find():
        key = tuple(getattr(row, name) for name in names)
        totals = {column.name: getattr(row, column.name) for column in table.counter_columns}
        found[key if len(key) > 1 else key[0]] = {name: n for name, n in totals.items() if n}
    return {key: totals for key, totals in found.items() if totals}


def by_writer(model: Any = ExactHits) -> dict[str, Own]:
    """Return the rows as they are stored: writer -> key -> column -> (total, written at)."""
    driver, table = connections.resolve(model)
    return {writer: dict(run(exact.rows_of(table, writer), driver)) for writer in run(exact.writers(table), driver)}


def put(writer: str, timestamp: int, model: Any = ExactHits, key: tuple[Any, ...] = ("/",), **totals: int) -> None:
    """Store a writer's totals of a row."""
    driver, table = connections.resolve(model)
    names = [column.name for column in table.counter_columns if column.name in totals]
    values = (*key, writer, *(totals[name] for name in names), timestamp)
    driver.submit(exact.write(table, tuple(totals)).with_values(values))


def execute(driver: Any, text: str) -> None:
    """Run SQL as an operator would, past the mapper."""
    driver.submit(Statement(Raw(text), render=lambda shape: shape.text))


def writer_of(aggregator: Aggregator, model: Any = ExactHits) -> str:
    """Return as whom an aggregator writes a table."""
    assert aggregator._machine is not None
    writer = aggregator._machine.intake.bind(model).held.writer
    assert writer
    return writer


def die(aggregator: Aggregator) -> None:
    """Leave an aggregator where it is: nothing is flushed, and nothing is said to its journal."""
    machine = aggregator._machine
    assert machine is not None
    machine.background.abandon()
    machine.background.stop(10)
    counters.remove(machine.intake)
    lifecycle.release(aggregator)
    aggregator._machine, aggregator._is_started = None, False
    if machine.keeping is not None:
        machine.keeping._stop.set()
        if machine.keeping._syncer is not None:
            machine.keeping._syncer.join()
        for keeping in (machine.keeping, *(found for found, _buffer, _engine in machine.orphans._adopted.values())):
            keeping.files.close()
            keeping.lease.close()


def roll_back(journal: Path, older: Path) -> None:
    """Put older contents into the files of a journal, which stay the files they are."""
    for place in older.rglob("*"):
        if place.is_file() and place.name != "lease":
            (journal / place.relative_to(older)).write_bytes(place.read_bytes())


def copied(journal: Path, name: str) -> Path:
    """Copy a journal's directory beside itself."""
    return Path(shutil.copytree(journal, journal.with_name(name)))


def run_program(text: str, journal: Path, database: Path) -> Any:
    """Run a program after ``PROGRAM`` in a process of its own, and return what it printed as JSON; None: nothing."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM + text, str(journal), str(database)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None
