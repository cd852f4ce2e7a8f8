"""
Faults of the existing library in what calls answer, absent here: one test for each, named after it, on every store.

The list is section 11 of the API page; its other parts stand in the files beside this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest

from coodie import drivers, sync
from coodie.connections import resolve
from coodie.cql import render
from coodie.exceptions import InvalidQueryError
from coodie.fields import BigInt, ClusteringKey, PrimaryKey
from coodie.results import LWTResult
from coodie.statement import Insert, Statement
from tests.contract.stores import Store, fresh
from tests.contract.watching import made, watched

PARTS, ROWS = 20, 600
KEY = Annotated[str, PrimaryKey()]


def numbered(store: Store) -> Any:
    """Return a model of rows with numbers."""

    class Row(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        part: Annotated[int, PrimaryKey()]
        number: Annotated[int, ClusteringKey()]

        class Settings:
            name = fresh("numbered")

    return Row


@pytest.fixture
def many(store: Store) -> Any:
    """Give 12,000 rows: 20 partitions of 600, one apart from the other by a million."""
    if "many" not in store.shared:
        model = store.once("many", numbered)
        driver, table = resolve(model)
        template = Statement(Insert(table, ("part", "number")), render=render)
        work = ((template, (part, part * 1_000_000 + n)) for part in range(PARTS) for n in range(ROWS))
        told: list[Any] = []
        driver.execute_many(work, 64, lambda index, outcome, count=1: told.append(outcome.error))
        assert not any(told)
    return store.shared["many"]


def posts(store: Store) -> Any:
    """Return a model of posts."""

    class Post(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        id: Annotated[str, PrimaryKey()]
        title: str = ""
        score: int = 0

        class Settings:
            name = fresh("posts")

    return Post


@pytest.fixture
def post(store: Store) -> Any:
    """Give a saved post of a table that the tests share."""
    return store.do(store.once("posts", posts).create(id=fresh("post"), title="first", score=3))


def test_a_large_result_does_not_end_after_5000_rows(store: Store, many: Any) -> None:
    found = store.do(many.find().all())
    assert len(found) == PARTS * ROWS
    assert len({row.number for row in found}) == PARTS * ROWS
    assert len(store.listed(many.find())) == PARTS * ROWS


def pages_of(many: Any, part: int) -> Any:
    """Return the QuerySet of a partition in three pages."""
    return many.find(part=part).fetch_size(ROWS // 3)


def test_concurrent_paging_does_not_get_pages_of_other_queries(store: Store, many: Any) -> None:
    def read(part: int) -> list[int]:
        numbers, state = [], None
        for _ in range(3):
            page = pages_of(many, part).page(state).paged_all()
            numbers += [row.number for row in page.data]
            state = page.paging_state
        return numbers

    async def read_async(part: int) -> list[int]:
        numbers, state = [], None
        for _ in range(3):
            page = await pages_of(many, part).page(state).paged_all()
            numbers += [row.number for row in page.data]
            state = page.paging_state
        return numbers

    async def all_at_once() -> list[list[int]]:
        return await asyncio.gather(*(read_async(number % PARTS) for number in range(200)))

    if store.face is sync:
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(read, (number % PARTS for number in range(200))))
    else:
        answers = store.do(all_at_once())
    for number, numbers in enumerate(answers):  # 200 readers of three pages: 600 paged reads
        first = number % PARTS * 1_000_000
        assert numbers == list(range(first, first + ROWS))


def test_reads_do_not_ignore_the_connection_of_settings(store: Store, post: Any) -> None:
    class Elsewhere(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        id: Annotated[str, PrimaryKey()]
        title: str = ""

        class Settings:
            name = type(post).table_name()
            connection = "elsewhere"

    with watched(store) as driver:
        drivers.register_driver("elsewhere", store.driver)
        try:
            assert store.do(Elsewhere.get(id=post.id)).title == "first"
            assert len(store.do(Elsewhere.find(id=post.id).all())) == 1
            assert store.do(Elsewhere.find(id=post.id).count()) == 1
            assert len(store.listed(Elsewhere.find(id=post.id))) == 1
        finally:
            del drivers._registry["elsewhere"]
    assert driver.sent == []


def test_a_subclass_does_not_lose_its_own_columns(store: Store) -> None:
    class Base(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        id: Annotated[str, PrimaryKey()]
        title: str = ""

        class Settings:
            name = fresh("bases")

    class Wider(Base):
        likes: Annotated[int, BigInt()] = 0

        class Settings:
            name = fresh("wider")

    store.table(Base)
    store.table(Wider)
    store.do(Wider(id="a", title="t", likes=2**40).save())
    assert store.do(Wider.get(id="a")) == Wider(id="a", title="t", likes=2**40)
    assert store.do(Base.find().count()) == 0


def test_a_table_that_was_dropped_is_not_taken_for_synced(store: Store) -> None:
    model = store.table(made(store.face.Document, {"id": KEY}))
    store.do(model(id="a").save())
    store.do(model.drop_table())
    assert store.do(model.sync_table())[0].startswith("CREATE TABLE IF NOT EXISTS")
    assert store.do(model.find().count()) == 0


def test_an_update_that_was_not_applied_does_not_change_the_instance(store: Store, post: Any) -> None:
    answer = store.do(post.update(title="second", if_conditions={"score": 4}))
    assert (answer.applied, answer.existing["score"]) == (False, 3)
    assert post.title == "first"
    assert store.do(type(post).get(id=post.id)).title == "first"
    assert store.do(post.update(title="second", if_conditions={"score": 3})) == LWTResult(True, None)
    assert post.title == "second"


def test_an_update_of_a_queryset_does_not_forget_its_options(store: Store, post: Any) -> None:
    one = type(post).find(id=post.id)
    with watched(store) as driver:
        store.do(one.consistency("ONE").timeout(7.5).update(title="a"))
        answer = store.do(type(post).find(id=fresh("none")).if_exists().update(title="c"))
    first, second = driver.sent
    assert (first.consistency, first.timeout) == ("ONE", 7.5)
    assert answer.applied is False
    assert getattr(second.shape, "if_exists", False)
    if store.is_cassandra:
        store.do(one.timestamp(1).update(title="b"))  # long ago: what is there is younger, and stays
    else:
        with pytest.raises(InvalidQueryError, match="no write timestamps"):
            store.do(one.timestamp(1).update(title="b"))
    assert store.do(type(post).get(id=post.id)).title == "a"


def test_alternatives_of_another_number_do_not_reuse_the_wrong_statement(store: Store, many: Any) -> None:
    rows = many.find(part=0)
    for count in (1, 3, 2, 7, 0, 1):
        found = store.do(rows.filter(number__in=list(range(count))).all())
        assert [row.number for row in found] == list(range(count))


@pytest.fixture
def few(store: Store) -> Any:
    """Give the rows of one partition."""
    model = store.once("few", numbered)
    for number in range(5):
        store.do(model(part=1, number=number).save())
    return model.find(part=1)


def test_listing_does_not_count(store: Store, few: Any) -> None:
    with watched(store) as driver:
        assert [row.number for row in store.listed(few)] == list(range(5))
    assert driver.counts == 0
    assert len(driver.sent) == 1


def test_truth_does_not_count(store: Store, few: Any) -> None:
    if store.face is not sync:
        pytest.skip("a truth cannot be awaited")
    with watched(store) as driver:
        assert few
        assert not few.filter(number__gt=99)
    assert driver.counts == 0


@pytest.fixture
def lazily(store: Store) -> Iterator[Any]:
    """Give a lazy connection to the server of the store, as the default."""
    if not store.is_cassandra or store.kind == "acsylla":
        pytest.skip("lazy=True is of scylla-driver and cassandra-driver")
    driver = store.do(store.face.init_coodie(driver_type="cassandra", lazy=True, **store.options))
    yield driver
    driver.close()
    drivers.register_driver("default", store.driver, default=True)


def test_a_lazy_connection_does_not_report_that_there_are_no_more_pages(store: Store, many: Any, lazily: Any) -> None:
    first = store.do(pages_of(many, 3).paged_all())
    assert first.paging_state is not None
    assert [row.number for row in first.data] == list(range(3_000_000, 3_000_200))
    second = store.do(pages_of(many, 3).page(first.paging_state).paged_all())
    assert second.data[0].number == 3_000_200
