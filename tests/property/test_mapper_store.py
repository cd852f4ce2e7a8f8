"""The mapper on the embedded store against a model of a few lines: dicts, sorted and filtered in Python."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from coodie import connections, drivers, sync
from coodie.fields import BigInt, ClusteringKey, Counter, PrimaryKey


class Row(sync.Document):
    """A plain table."""

    part: Annotated[str, PrimaryKey()]
    number: Annotated[int, ClusteringKey(), BigInt()]
    text: str = ""
    price: Decimal | None = None
    tags: set[str] = Field(default_factory=set)
    notes: dict[str, int] = Field(default_factory=dict)


class Hits(sync.CounterDocument):
    """A table of counters."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    likes: Annotated[int, Counter()]


@pytest.fixture(scope="module")
def _store() -> Iterator[Any]:
    driver = connections.init_coodie(driver_type="sqlite", database=":memory:")
    Row.sync_table()
    Hits.sync_table()
    yield driver
    drivers._registry.clear()
    driver.close()


@pytest.fixture
def store(_store: Any) -> None:
    """Give the embedded store as the default connection."""
    drivers.register_driver("default", _store, default=True)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5)
PARTS = st.sampled_from(["a", "b", "\0"])
ROWS = st.builds(
    Row,
    part=PARTS,
    number=NUMBERS,
    text=TEXT,
    price=st.none() | st.decimals(allow_nan=False, allow_infinity=False),
    tags=st.sets(TEXT, max_size=3),
    notes=st.dictionaries(TEXT, st.integers(-(2**31), 2**31 - 1), max_size=3),
)
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def saved(rows: list[Row]) -> dict[tuple[str, int], Row]:
    Row.truncate()
    for row in rows:
        row.save()
    return {(row.part, row.number): row for row in rows}


@many
@given(rows=st.lists(ROWS, max_size=8))
def test_what_is_saved_last_is_what_is_read(store: None, rows: list[Row]) -> None:
    expected = saved(rows)
    assert {(row.part, row.number): row for row in Row.find()} == expected
    for (part, number), row in expected.items():
        assert Row.get(part=part, number=number) == row


COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "": operator.eq,
    "__gt": operator.gt,
    "__gte": operator.ge,
    "__lt": operator.lt,
    "__lte": operator.le,
}


@many
@given(
    rows=st.lists(ROWS, max_size=12),
    comparison=st.sampled_from(sorted(COMPARISONS)),
    number=st.integers(0, 5),
    descending=st.booleans(),
    limit=st.none() | st.integers(1, 4),
    fetch_size=st.integers(1, 4),
)
def test_filters_orders_limits_and_pages_agree_with_python(
    store: None, rows: list[Row], comparison: str, number: int, descending: bool, limit: int | None, fetch_size: int
) -> None:
    compare = COMPARISONS[comparison]
    matching = [row for row in saved(rows).values() if row.part == "a" and compare(row.number, number)]
    expected = sorted(matching, key=lambda row: row.number, reverse=descending)[:limit]
    found = Row.find(part="a", **{f"number{comparison}": number}).order_by("-number" if descending else "number")
    found = found if limit is None else found.limit(limit)
    assert found.all() == list(found.fetch_size(fetch_size)) == expected
    assert found.count() == len(found) == len(expected)
    assert found.first() == (expected[0] if expected else None)
    assert bool(found) is bool(expected)


@many
@given(rows=st.lists(ROWS, max_size=8), wanted=st.lists(NUMBERS, max_size=4))
def test_in_finds_each_alternative_once(store: None, rows: list[Row], wanted: list[int]) -> None:
    expected = {row.number for row in saved(rows).values() if row.part == "a" and row.number in wanted}
    found = Row.find(part="a", number__in=wanted)
    assert [row.number for row in found] == sorted(expected)
    assert found.count() == len(expected)


STEPS = st.tuples(st.sampled_from(["/a", "/b", "\0", "é"]), st.integers(-9, 9), st.integers(-9, 9), st.booleans())


@many
@given(steps=st.lists(STEPS, max_size=15))
def test_totals_are_the_sums_of_increments_and_decrements(store: None, steps: list[tuple[str, int, int, bool]]) -> None:
    Hits.truncate()
    expected: dict[str, tuple[int, int]] = {}
    for url, views, likes, up in steps:
        page, sign = Hits(url=url), 1 if up else -1
        (page.increment if up else page.decrement)(likes=likes, views=views)
        if views or likes:
            before = expected.get(url, (0, 0))
            expected[url] = (before[0] + sign * views, before[1] + sign * likes)
    assert {page.url: (page.views, page.likes) for page in Hits.find()} == expected
