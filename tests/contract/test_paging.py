"""Large results and many readers on every store: 12,000 rows in 600 partitions, each with a reader of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest

from coodie import aio
from coodie.connections import resolve
from coodie.cql import render
from coodie.exceptions import InvalidQueryError
from coodie.fields import ClusteringKey, PrimaryKey
from coodie.statement import Insert, Outcome, Statement
from tests.contract.stores import Store, fresh

PARTS, ROWS = 600, 20


def numbered(store: Store) -> Any:
    """Return a model of rows whose numbers tell their partition."""

    class Row(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        part: Annotated[int, PrimaryKey()]
        number: Annotated[int, ClusteringKey()]
        word: str | None = None

        class Settings:
            name = fresh("rows")

    return Row


@pytest.fixture
def rows(store: Store) -> Any:
    """Give the rows; the tests share them and only read."""
    if "many" not in store.shared:
        model = store.once("many", numbered)
        driver, table = resolve(model)
        template = Statement(Insert(table, ("part", "number", "word")), render=render, together=10)
        told: Counter[Any] = Counter()

        def settle(index: int, outcome: Outcome, count: int = 1) -> None:
            told[outcome.error] += count

        work = ((template, (part, part * 100 + n, f"w{n}")) for n in range(ROWS) for part in range(PARTS))
        driver.execute_many(work, 32, settle)
        assert told == {None: PARTS * ROWS}
    return store.shared["many"]


def test_a_large_result_comes_back_whole(store: Store, rows: Any) -> None:
    expected = sorted(part * 100 + n for part in range(PARTS) for n in range(ROWS))
    assert sorted(row.number for row in store.do(rows.find().all())) == expected
    assert sorted(row.number for row in store.listed(rows.find())) == expected
    assert sorted(row.number for row in store.listed(rows.find().fetch_size(997))) == expected
    assert sorted(store.do(rows.find().fetch_size(5_000).values_list("number").all())) == [(n,) for n in expected]
    assert len(store.do(rows.find().json())) == PARTS * ROWS
    assert len(store.do(rows.find().limit(11_000).fetch_size(4_000).only("word").all())) == 11_000


def test_counts_and_sums_are_of_all_rows(store: Store, rows: Any) -> None:
    assert store.do(rows.find().count()) == PARTS * ROWS
    assert store.do(rows.find().per_partition_limit(15).count()) == PARTS * 15
    assert store.do(rows.find().distinct().count()) == PARTS
    assert store.do(rows.find().sum("number")) == sum(part * 100 + n for part in range(PARTS) for n in range(ROWS))


def test_600_readers_each_get_their_own_pages(store: Store, rows: Any) -> None:
    def pages_of(part: int) -> Any:
        found = rows.find(part=part).fetch_size(7)
        return found.values_list("number") if part % 2 else found.only("number")

    def numbers(page: Any) -> list[int]:
        return [row[0] if isinstance(row, tuple) else row.number for row in page.data]

    def read(part: int) -> list[int]:
        page = pages_of(part).paged_all()
        found = numbers(page)
        while page.paging_state is not None:
            page = pages_of(part).page(page.paging_state).paged_all()
            found += numbers(page)
        return found

    async def read_async(part: int) -> list[int]:
        page = await pages_of(part).paged_all()
        found = numbers(page)
        while page.paging_state is not None:
            page = await pages_of(part).page(page.paging_state).paged_all()
            found += numbers(page)
        return found

    async def at_once() -> list[list[int]]:
        return await asyncio.gather(*map(read_async, range(PARTS)))

    if store.face is aio:
        answers = store.do(at_once())
    else:
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(read, range(PARTS)))
    assert answers == [[part * 100 + n for n in range(ROWS)] for part in range(PARTS)]


def test_a_state_of_another_query_is_refused_and_harms_nobody(store: Store, rows: Any) -> None:
    state = store.do(rows.find(part=1).fetch_size(7).paged_all()).paging_state
    others = (rows.find(), rows.find(part=2), rows.find(part=1).limit(15), rows.find(part=1).order_by("-number"))
    for other in others:
        with pytest.raises(InvalidQueryError, match="it belongs to another query"):
            store.do(other.fetch_size(7).page(state).paged_all())
    following = store.do(rows.find(part=1).only("number").fetch_size(5).page(state).paged_all())
    assert [row.number for row in following.data] == [107, 108, 109, 110, 111]
