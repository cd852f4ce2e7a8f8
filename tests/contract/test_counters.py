"""Counters on every store: the same calls give the same totals."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from ipaddress import IPv6Address
from typing import Annotated, Any
from uuid import UUID

import pytest

from coodie import sync
from coodie.exceptions import DocumentNotFound, InvalidQueryError
from coodie.fields import ClusteringKey, Counter, PrimaryKey, VarInt
from tests.contract.counting import page_hits
from tests.contract.stores import Store, fresh

SECTION = UUID("11111111-2222-3333-4444-555555555555")


def test_increments_and_decrements_add_up(store: Store, hits: Any, url: str) -> None:
    page = hits(url=url)
    store.do(page.increment(views=1))
    store.do(page.increment(unique_visitors=2, views=10))
    store.do(page.decrement(views=3))
    read = store.do(hits.get(url=url))
    assert (type(read), read.views, read.unique_visitors) == (hits, 8, 2)
    assert (page.views, page.unique_visitors) == (0, 0)


def test_a_counter_never_incremented_is_zero(store: Store, hits: Any, url: str) -> None:
    store.do(hits(url=url).increment(views=1))
    assert store.do(hits.get(url=url)).unique_visitors == 0


def test_a_row_never_incremented_is_not_there(store: Store, hits: Any) -> None:
    assert store.do(hits.find_one(url="/none")) is None
    with pytest.raises(DocumentNotFound, match=r"No PageHits found matching \{'url': '/none'\}"):
        store.do(hits.get(url="/none"))


def test_a_zero_makes_no_row(store: Store, hits: Any, url: str) -> None:
    store.do(hits(url=url).increment(views=0))
    assert store.do(hits.find_one(url=url)) is None


@pytest.mark.parametrize("amount", [2**63 - 1, -(2**63) + 1, -5])
def test_counters_hold_64_bits_with_sign(store: Store, hits: Any, url: str, amount: int) -> None:
    store.do(hits(url=url).increment(views=amount))
    assert store.do(hits.get(url=url)).views == amount


def test_urls_of_every_kind_come_back_as_they_were_until_the_table_is_emptied(store: Store) -> None:
    hits = store.table(page_hits(store))
    urls = ["a\0b", "\N{SNOWMAN}", "'; DROP TABLE hits; --", '"', "%s ? :x {}", " ", "\u00e9", "e\u0301", "x" * 65_535]
    for number, url in enumerate(urls, 1):
        store.do(hits(url=url).increment(views=number))
    assert [store.do(hits.get(url=url)).views for url in urls] == list(range(1, len(urls) + 1))
    assert {page.url for page in store.do(hits.find().all())} == set(urls)
    store.do(hits.truncate())
    assert store.do(hits.find().count()) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda page: page.increment(),
        lambda page: page.increment(likes=1),
        lambda page: page.increment(url=1),
        lambda page: page.increment(views=True),
        lambda page: page.increment(views=1, unique_visitors=1.5),
        lambda page: page.increment(views=2**63),
        lambda page: page.decrement(views="1"),
        lambda page: page.save(),
        lambda page: page.insert(),
        lambda page: page.save_json(),
        lambda page: page.update(views=5),
        lambda page: type(page).create(url="/home", views=5),
    ],
)
def test_what_is_refused_is_not_written(store: Store, hits: Any, url: str, call: Any) -> None:
    with pytest.raises(InvalidQueryError):
        call(hits(url=url))
    assert store.do(hits.find_one(url=url)) is None


def test_composite_keys_name_one_row(store: Store) -> None:
    class DailyHits(store.face.CounterDocument):  # type: ignore[name-defined,misc]  # a face chosen at run time
        section: Annotated[UUID, PrimaryKey(partition_key_index=1)]
        site: Annotated[str, PrimaryKey(partition_key_index=0)]
        day: Annotated[date, ClusteringKey(order="DESC")]
        hits: Annotated[int, Counter()]

        class Settings:
            name = fresh("daily_hits")

    store.table(DailyHits)
    for day in (1, 2, 2, 3):
        store.do(DailyHits(site="a", section=SECTION, day=date(2024, 5, day)).increment(hits=day))
    store.do(DailyHits(site="b", section=SECTION, day=date(2024, 5, 2)).increment(hits=100))
    found = store.listed(DailyHits.find(site="a", section=str(SECTION)))
    assert [(row.section, row.day, row.hits) for row in found] == [
        (SECTION, date(2024, 5, 3), 3),
        (SECTION, date(2024, 5, 2), 4),
        (SECTION, date(2024, 5, 1), 1),
    ]


def test_deleting_a_row_warns_and_removes_it(store: Store, hits: Any, url: str) -> None:
    page = hits(url=url)
    store.do(page.increment(views=6))
    with pytest.warns(UserWarning, match=r"A deleted counter is not a counter at zero"):
        store.do(page.delete())
    assert store.do(hits.find_one(url=url)) is None


def test_increments_at_once_are_all_counted(store: Store, hits: Any, url: str) -> None:
    urls = [f"{url}/{number % 5}" for number in range(100)]
    if store.face is sync:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda url: hits(url=url).increment(views=1, unique_visitors=2), urls))
    else:

        async def all_at_once() -> None:
            await asyncio.gather(*(hits(url=url).increment(views=1, unique_visitors=2) for url in urls))

        store.do(all_at_once())
    found = store.do(hits.find(url__in=urls).all())
    totals = {page.url: (page.views, page.unique_visitors) for page in found}
    assert totals == {f"{url}/{number}": (20, 40) for number in range(5)}


def test_rows_of_a_counter_class_are_found_by_their_keys(store: Store, hits: Any, url: str) -> None:
    pages = [f"{url}/{number}" for number in range(4)]
    for number, page in enumerate(pages, 1):
        store.do(hits(url=page).increment(views=number))
    found = store.do(hits.find(url__in=[pages[1], pages[3], "/none", pages[1]]).all())
    assert {page.url: page.views for page in found} == {pages[1]: 2, pages[3]: 4}
    assert store.do(hits.find(url__in=[]).all()) == []
    assert store.do(hits.find(url=pages[2]).first()).views == 3
    assert store.do(hits.find(url__in=(pages[1], pages[2])).count()) == 2


@pytest.mark.parametrize(
    ("annotation", "key"),
    [
        (Decimal, Decimal("7" * 158_000)),
        (Decimal, Decimal("1E+9999999999")),
        (Annotated[int, VarInt()], 1 << 8 * 65_535),
        (IPv6Address, IPv6Address("fe80::1%eth0")),
    ],
    ids=["digits", "exponent", "varint", "scope"],
)
def test_keys_that_a_database_refuses_are_refused_at_the_call(store: Store, annotation: Any, key: Any) -> None:
    class Odd(store.face.CounterDocument):  # type: ignore[name-defined,misc]  # a face chosen at run time
        amount: Annotated[annotation, PrimaryKey()]
        hits: Annotated[int, Counter()]

    store.do(Odd.sync_table())
    with pytest.raises(InvalidQueryError, match=r"'amount'.*nothing was sent"):
        Odd(amount=key).increment(hits=1)
    assert store.do(Odd.find().count()) == 0
    store.do(Odd.drop_table())
