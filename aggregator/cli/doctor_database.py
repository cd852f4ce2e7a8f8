"""
Checks of the database: is it reached, does its clock agree, are the tables as the models have them.

Rules that live here: the clock is compared over the quickest of some round trips, so the error is half of that one. A
table is compared column by column; what ``sync_table()`` would do besides, it says itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aggregator.cli.doctor_checks import Check, Checks, finding, ok
from aggregator.cli.failure import in_one_line
from coodie.connections import resolve
from coodie.cql import render
from coodie.exceptions import CoodieError
from coodie.plans.kinds import refuse_other_kind
from coodie.schema import Table
from coodie.statement import ReadColumns, Statement

SKEW_MAX_S = 5.0
REFUSED_S = 300.0
"""How far ahead of the database's a clock may be, or exact tables are not written: ``aggregator.flusher``."""

_NOW = "SELECT toTimestamp(now()) AS now FROM system.local"
_ROUND_TRIPS = 5


def clock(driver: Any) -> Check:
    """Compare the clock of this machine with the database's."""
    if not driver.needs_keyspace:
        return ok("clock", "the embedded store runs on this machine's clock")
    try:
        took, ahead = min(_skew(driver) for _ in range(_ROUND_TRIPS))
    except CoodieError as error:
        return finding("clock", f"the database does not tell its time: {in_one_line(error)}", "see to the connection")
    said = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the database's (answer in {took * 1e3:.0f} ms)"
    if abs(ahead) <= SKEW_MAX_S + took / 2:
        return ok("clock", f"this machine's is {said}")
    refused = "; exact tables are not written from here" if ahead > REFUSED_S else ""
    return finding("clock", f"this machine's is {said}{refused}", "have NTP set the clocks of all hosts")


def _skew(driver: Any) -> tuple[float, float]:
    """Return how long an answer took, and how far the clock here is ahead; s."""
    began, here = time.monotonic(), time.time()
    now = driver.execute(_NOW, [])[0]["now"]
    took = time.monotonic() - began
    if isinstance(now, datetime):
        there = (now if now.tzinfo else now.replace(tzinfo=UTC)).timestamp()
    else:
        there = float(now) / 1000  # acsylla: milliseconds
    return took, here + took / 2 - there


def shape(model: Any) -> Checks:
    """Compare a table with its model."""
    try:
        driver, table = resolve(model)
        columns = driver.submit(Statement(ReadColumns(table.stored), render=render)).items
        found = list(_differences(model, table, columns)) or list(_left(model, columns))
    except CoodieError as error:
        yield finding("table", f"{model.__name__}: {in_one_line(error)}", "mend the model or its Settings")
        return
    names = set(table.stored.by_name)
    more = sorted(column["column_name"] for column in columns if column["column_name"] not in names)
    unknown = f" (the model does not know {', '.join(more)})" if more else ""
    yield from found or [ok("table", f"{table.full_name} is as {model.__name__} has it{unknown}")]


def _differences(model: Any, table: Table, columns: Sequence[Mapping[str, Any]]) -> Checks:
    sync = f"call {model.__name__}.sync_table(), or add them by a migration"
    other = "give the model another Settings.name, or the types that are stored: they cannot be changed"
    if not columns:
        yield finding("table", f"{table.full_name} is missing", f"call {model.__name__}.sync_table()")
        return
    if table.counters:
        try:
            refuse_other_kind(table, columns)
        except CoodieError as error:
            yield finding("table", in_one_line(error), "see Settings.counters")
            return
    wanted = {column.name: _plain(column.cql_type) for column in table.stored.columns}
    stored = {column["column_name"]: _plain(column["type"]) for column in columns}
    if missing := sorted(wanted.keys() - stored.keys()):
        yield finding("table", f"{table.full_name} lacks {', '.join(missing)}", sync)
    for name in sorted(name for name in wanted.keys() & stored.keys() if wanted[name] != stored[name]):
        text = f"{table.full_name}: {name} is {stored[name]}, and {wanted[name]} in {model.__name__}"
        yield finding("table", text, other)
    key = [column["column_name"] for column in sorted(filter(_is_key, columns), key=_place)]
    if key != [column.name for column in table.stored.primary_key]:
        text = f"{table.full_name} has the key ({', '.join(key)}), which is not that of {model.__name__}"
        yield finding("table", text, "use another table name: a primary key cannot be changed")


def _left(model: Any, columns: Sequence[Mapping[str, Any]]) -> Checks:
    """Find what ``sync_table()`` would do to a table whose columns are right."""
    known = model.sync_table(dry_run=True)[1:]  # after CREATE TABLE IF NOT EXISTS
    changes = [statement for statement in known if not statement.startswith("CREATE INDEX IF NOT EXISTS")]
    for statement in changes:
        yield finding("table", f"sync_table() would run: {statement}", f"call {model.__name__}.sync_table()")


def _is_key(column: Mapping[str, Any]) -> bool:
    return bool(column["kind"] in ("partition_key", "clustering"))


def _place(column: Mapping[str, Any]) -> tuple[bool, int]:
    return column["kind"] == "clustering", column["position"]


def _plain(cql_type: str) -> str:
    return cql_type.replace(" ", "").lower()
