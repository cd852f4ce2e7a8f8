"""QuerySets on every store: filters, orders, limits, pages."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from coodie import sync
from coodie.exceptions import InvalidQueryError
from coodie.fields import ClusteringKey, PrimaryKey
from tests.contract.stores import Store, fresh


def numbered(store: Store) -> Any:
    """Return a model of numbered rows."""

    class Row(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        part: Annotated[str, PrimaryKey()]
        number: Annotated[int, ClusteringKey()]
        even: bool

        class Settings:
            name = fresh("rows")

    return Row


@pytest.fixture
def rows(store: Store) -> Any:
    """Give a model with ten rows in one partition and one in another; the tests share them and only read."""
    if "rows" not in store.shared:
        row = store.once("rows", numbered)
        for number in range(10):
            store.do(row(part="a", number=number, even=number % 2 == 0).save())
        store.do(row(part="b", number=0, even=True).save())
    return store.shared["rows"]


def numbers(documents: Any) -> list[int]:
    return [document.number for document in documents]


@pytest.mark.parametrize(
    ("lookups", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"number": 3}, [3]),
        ({"number__gt": 7}, [8, 9]),
        ({"number__gte": 8}, [8, 9]),
        ({"number__lt": 2}, [0, 1]),
        ({"number__lte": 1}, [0, 1]),
        ({"number__gt": 3, "number__lte": 5}, [4, 5]),
        ({"number__in": [5, 2, 99]}, [2, 5]),
        ({"number__in": []}, []),
    ],
)
def test_lookups_narrow(store: Store, rows: Any, lookups: dict[str, Any], expected: list[int]) -> None:
    found = rows.find(part="a").filter(**lookups)
    assert numbers(store.do(found.all())) == expected
    assert store.do(found.count()) == len(expected)
    assert numbers(store.listed(found)) == expected


def test_rows_come_in_the_order_asked_for(store: Store, rows: Any) -> None:
    found = rows.find(part="a").order_by("-number")
    assert numbers(store.do(found.limit(3).all())) == [9, 8, 7]
    assert store.do(found.first()).number == 9
    assert numbers(store.do(found.order_by("number").limit(2).all())) == [0, 1]


def test_a_filter_on_another_column_may_be_allowed(store: Store, rows: Any) -> None:
    found = rows.find(part="a", even=True).allow_filtering()
    assert numbers(store.do(found.all())) == [0, 2, 4, 6, 8]
    assert store.do(rows.find(even=True).allow_filtering().count()) == 6


def test_pages_follow_each_other_by_their_state(store: Store, rows: Any) -> None:
    found = rows.find(part="a").fetch_size(4)
    pages, state = [], None
    while True:
        page = store.do(found.page(state).paged_all())
        pages.append(numbers(page.data))
        state = page.paging_state
        if state is None:
            break
    assert [number for page in pages for number in page] == list(range(10))
    assert pages[:2] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_two_readers_page_without_disturbing_each_other(store: Store, rows: Any) -> None:
    up, down = rows.find(part="a").fetch_size(3), rows.find(part="a").order_by("-number").fetch_size(2)
    first_up, first_down = store.do(up.paged_all()), store.do(down.paged_all())
    assert numbers(store.do(up.page(first_up.paging_state).paged_all()).data) == [3, 4, 5]
    assert numbers(store.do(down.page(first_down.paging_state).paged_all()).data) == [7, 6]


def test_a_limit_holds_over_pages(store: Store, rows: Any) -> None:
    found = rows.find(part="a").fetch_size(3).limit(5)
    assert numbers(store.listed(found)) == [0, 1, 2, 3, 4]
    assert numbers(store.do(found.all())) == [0, 1, 2, 3, 4]
    assert store.do(found.count()) == 5


def test_everything_is_found_without_filters(store: Store, rows: Any) -> None:
    assert len(store.do(rows.find().all())) == 11
    assert len(store.listed(rows.find().fetch_size(2))) == 11
    assert store.do(rows.find(part="none").first()) is None


def test_a_consistency_and_a_timeout_may_be_given(store: Store, rows: Any) -> None:
    assert store.do(rows.find(part="a").consistency("LOCAL_ONE").timeout(5.0).count()) == 10


def test_sync_querysets_have_a_length_and_a_truth(store: Store, rows: Any) -> None:
    if store.face is not sync:
        with pytest.raises(TypeError, match="await rows.first"):
            bool(rows.find())
    if store.face is sync:
        assert len(rows.find(part="a")) == 10
        assert rows.find(part="a")
        assert not rows.find(part="none")


def test_an_order_over_listed_partitions_is_refused(store: Store, rows: Any) -> None:
    found = rows.find(part__in=["a", "b"]).order_by("-number")
    for read in (found.all, found.first, found.paged_all):
        with pytest.raises(InvalidQueryError, match="part__in"):
            store.do(read())


def test_a_queryset_tells_what_it_asks_for_but_no_values(store: Store, rows: Any) -> None:
    assert repr(rows.find(part="secret").limit(3)) == "<QuerySet of Row: part = ?, limit ?>"
    assert repr(rows.find()) == "<QuerySet of Row: every row>"
