"""Tables and statements for the tests of the embedded store, made by hand: no model, no plan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coodie.drivers.sqlite import SQLiteDriver
from coodie.schema import Column, Table
from coodie.statement import CounterUpdate, CreateTable, Insert, Outcome, Rows, Select, Selected, Statement, Term


def counter(name: str) -> Column:
    """Return a counter column."""
    return Column(name, "counter", int, counter=True)


def hits_table(name: str = "page_hits", key_type: str = "text") -> Table:
    """Return the guide's table, its key of any type."""
    return Table(
        name, (Column("url", key_type, partition_index=0), counter("views"), counter("visitors")), counters="native"
    )


HITS = hits_table()
ADD = Statement(CounterUpdate(HITS, ("views", "visitors")))
ADD_VIEWS = Statement(CounterUpdate(HITS, ("views",)))

EVENTS = Table(
    "events",
    (
        Column("site", "text", partition_index=0),
        Column("day", "int", int, clustering_index=0, descending=True),
        Column("hour", "int", int, clustering_index=1),
        Column("note", "text", optional=True),
        Column("tags", "set<text>", set[str]),
        Column("steps", "list<int>", list[int]),
        Column("prices", "map<text, decimal>", dict[str, Any]),
    ),
)


def make(driver: SQLiteDriver, *tables: Table) -> None:
    """Create tables."""
    for table in tables:
        driver.submit(Statement(CreateTable(table)))


def write(driver: SQLiteDriver, work: Iterable[tuple[Statement, tuple[Any, ...]]]) -> list[Outcome]:
    """Write a stream of statements and return their outcomes in order, each told exactly once."""
    told: dict[int, Outcome] = {}

    def settle(index: int, outcome: Outcome, count: int = 1) -> None:
        for each in range(index, index + count):
            assert each not in told
            told[each] = outcome

    driver.execute_many(work, 16, settle)
    assert sorted(told) == list(range(len(told)))
    return [told[index] for index in range(len(told))]


def insert(driver: SQLiteDriver, table: Table, **values: Any) -> Rows:
    """Insert one row."""
    return driver.submit(Statement(Insert(table, tuple(values)), tuple(values.values())))


def select(driver: SQLiteDriver, table: Table, *columns: str, **options: Any) -> Rows:
    """Read rows; ``where`` is a list of (column, operator, value), other options are the shape's and statement's."""
    options.setdefault("allow_filtering", True)
    where = options.pop("where", [])
    values = tuple(value for _, _, value in where)
    if "limit" in options:
        values = (*values, options.pop("limit"))
        options["limited"] = True
    paging = {name: options.pop(name) for name in ("fetch_size", "paging_state") if name in options}
    terms = tuple(Term(column, operator) for column, operator, _ in where)
    shape = Select(table, tuple(map(Selected, columns)), terms, **options)
    return driver.submit(Statement(shape, values, **paging))


def totals(driver: SQLiteDriver, table: Table = HITS) -> dict[Any, tuple[int, int]]:
    """Return the counters of every row by key."""
    return {row["url"]: (row["views"], row["visitors"]) for row in select(driver, table).items}
