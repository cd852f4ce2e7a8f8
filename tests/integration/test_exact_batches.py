"""Writers' totals sent in unlogged batches, by both drivers, on a real Cassandra."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cassandra.cluster import Session

from coodie.cql import render
from coodie.drivers.acsylla import AcsyllaDriver
from coodie.drivers.batches import parcels
from coodie.drivers.cassandra import CassandraDriver
from coodie.exceptions import RowRejected, TableRejected
from coodie.plans import exact
from coodie.schema import Column, Table
from coodie.statement import CounterUpdate, CreateTable, DropTable, Fate, Select, Statement
from tests.integration.server_driver import counters, run, statement
from tests.support.cassandra import Server

WRITER = "9b2e7f0e-4f3d-4c53-9a55-0123456789ab/0003/1a2b3c4d"
TIME = 1_700_000_000_000_000


@pytest.fixture(scope="module", params=["cassandra", "acsylla"])
def driver(request: pytest.FixtureRequest, cassandra: Server, keyspace: str) -> Iterator[Any]:
    if request.param == "cassandra":
        driver: Any = CassandraDriver.connect(cassandra.hosts, keyspace, port=cassandra.port)
    else:
        driver = AcsyllaDriver.connect_sync(cassandra.hosts, keyspace, port=cassandra.port)
    yield driver
    driver.close()


@pytest.fixture
def hits(cassandra_session: Session, keyspace: str) -> Iterator[Table]:
    table = exact_table(keyspace)
    cassandra_session.execute(render(CreateTable(table.stored)))
    yield table
    cassandra_session.execute(f"DROP TABLE IF EXISTS {table.full_name}")


def exact_table(keyspace: str) -> Table:
    columns = (
        Column("url", "text", str, partition_index=0),
        Column("day", "int", int, clustering_index=0),
        Column("views", "counter", int, counter=True),
        Column("visitors", "counter", int, counter=True),
    )
    return Table(f"hits_{uuid.uuid4().hex[:8]}", columns, keyspace, counters="exact")


def rows_of(table: Table, count: int, first: int = 0) -> list[tuple[Statement, tuple[Any, ...]]]:
    template = exact.write(table, ("views", "visitors"))
    numbers = range(first, first + count)
    return [(template, (f"/{number}", 1, WRITER, number, -number, TIME + number)) for number in numbers]


def stored(session: Session, table: Table) -> dict[str, tuple[int, int, int]]:
    text = f"SELECT url, views, visitors, writetime(views) AS at FROM {table.full_name}"
    return {row.url: (row.views, row.visitors, row.at) for row in session.execute(text)}


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("count", [1, 7, 10, 2_503])
def test_every_total_is_stored_with_its_time(
    driver: Any, hits: Table, cassandra_session: Session, limit: int, count: int
) -> None:
    outcomes = run(driver, rows_of(hits, count), limit)
    assert {outcome.fate for outcome in outcomes} == {Fate.APPLIED}
    assert stored(cassandra_session, hits) == {f"/{n}": (n, -n, TIME + n) for n in range(count)}


def test_a_late_batch_changes_nothing(driver: Any, hits: Table, cassandra_session: Session) -> None:
    rows = rows_of(hits, 25)
    newer = [(template, (*values[:3], 7, 8, values[5] + 100)) for template, values in rows]
    for work in (rows, newer, rows, newer, rows):
        assert {outcome.fate for outcome in run(driver, work)} == {Fate.APPLIED}
    assert set(stored(cassandra_session, hits).values()) == {(7, 8, TIME + n + 100) for n in range(25)}


BAD = {
    "empty key": ("", 1, WRITER, 1, 1, TIME),  # the server refuses it
    "key too long": ("x" * 70_000, 1, WRITER, 1, 1, TIME),
    "no such text": ("\ud800", 1, WRITER, 1, 1, TIME),  # the encoder does
    "too large": ("/large", 1, WRITER, 2**63, 1, TIME),
    "not a number": ("/odd", 1, WRITER, "one", 1, TIME),
    "missing value": ("/short", 1, WRITER, 1, TIME),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("at", [0, 4, 22])
def test_a_bad_row_is_refused_alone(
    driver: Any, hits: Table, cassandra_session: Session, bad: tuple[Any, ...], at: int
) -> None:
    rows = rows_of(hits, 23)
    rows.insert(at, (rows[0][0], bad))
    outcomes = run(driver, rows, 2)
    assert outcomes[at].fate is Fate.REJECTED
    assert isinstance(outcomes[at].error, RowRejected)
    del outcomes[at]
    assert {outcome.fate for outcome in outcomes} == {Fate.APPLIED}
    assert len(stored(cassandra_session, hits)) == 23


def test_a_missing_table_refuses_its_own_rows_and_no_others(
    driver: Any, hits: Table, cassandra_session: Session, keyspace: str
) -> None:
    missing = exact_table(keyspace)
    outcomes = run(driver, rows_of(hits, 15) + rows_of(missing, 15) + rows_of(hits, 15, first=15))
    assert len(stored(cassandra_session, hits)) == 30
    for outcome in outcomes[15:30]:
        assert outcome.fate is Fate.REJECTED
        assert isinstance(outcome.error, TableRejected)
    assert {outcome.fate for outcome in outcomes[:15] + outcomes[30:]} == {Fate.APPLIED}


def test_a_table_dropped_meanwhile_refuses_its_rows(driver: Any, hits: Table, cassandra_session: Session) -> None:
    assert {outcome.fate for outcome in run(driver, rows_of(hits, 30))} == {Fate.APPLIED}
    cassandra_session.execute(f"DROP TABLE {hits.full_name}")
    outcomes = run(driver, rows_of(hits, 30))
    assert {type(outcome.error).__mro__[1] for outcome in outcomes} == {TableRejected}


def test_native_updates_between_exact_ones_stay_single(
    driver: Any, hits: Table, cassandra_session: Session, keyspace: str
) -> None:
    native = counters(keyspace)
    driver.submit(statement(CreateTable(native)))
    update = statement(CounterUpdate(native, ("views",)))
    rows = [item for one in rows_of(hits, 40) for item in (one, (update, (1, "/home")))]
    rows += [(update, (1, "/home")), *rows_of(hits, 11, first=40)]
    assert {outcome.fate for outcome in run(driver, rows, 5)} == {Fate.APPLIED}
    assert driver.submit(statement(Select(native))).items[0]["views"] == 41
    assert len(stored(cassandra_session, hits)) == 51
    driver.submit(statement(DropTable(native)))


def test_a_level_that_cannot_be_reached_is_told_to_every_row(driver: Any, hits: Table) -> None:
    """One replica is there: each batch carries the level of its template."""
    template = replace(exact.write(hits, ("views", "visitors")), consistency="THREE")
    outcomes = run(driver, [(template, values) for _, values in rows_of(hits, 21)])
    assert {outcome.fate for outcome in outcomes} == {Fate.UNKNOWN}  # they may be sent to the next host, and were


def test_the_server_warns_of_no_batch(driver: Any, cassandra_session: Session, hits: Table) -> None:
    """What this file holds to be below the server's thresholds is: the largest batch it makes brings no warning."""
    work = [(template, (values[0] * 180, *values[1:])) for template, values in rows_of(hits, 1_000, first=10)]
    sent = [parcel for parcel in parcels(work) if parcel[3] is not None]
    prepared = {text: cassandra_session.prepare(text) for text in {template.cql for _, template, _, _ in sent}}
    for _, template, values, rows in sent:
        if rows is not None:
            future = cassandra_session.execute_async(prepared[template.cql], values)
            future.result()
            assert not future.warnings
