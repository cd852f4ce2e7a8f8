"""What needs ALLOW FILTERING, and which orders there are: every store takes and refuses the same queries."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from coodie.exceptions import CoodieError, Rejected
from coodie.fields import ClusteringKey, Frozen, Indexed, PrimaryKey
from tests.contract.stores import Store, fresh


def model_of(store: Store) -> Any:
    class Event(store.face.Document):  # type: ignore[name-defined,misc]  # the face is known at run time alone
        site: Annotated[str, PrimaryKey(partition_key_index=0)]
        month: Annotated[int, PrimaryKey(partition_key_index=1)]
        day: Annotated[int, ClusteringKey(order="DESC", clustering_key_index=0)]
        hour: Annotated[int, ClusteringKey(clustering_key_index=1)]
        note: str = ""
        kind: Annotated[str, Indexed()] = ""
        tags: Annotated[set[str], Indexed()] = set()
        marks: Annotated[list[int], Frozen()] = []

        class Settings:
            name = fresh("event")

    return Event


HERE = {"site": "a", "month": 1}
TAKEN: list[dict[str, Any]] = [
    {},
    HERE,
    {"site__in": ["a", "b"], "month": 1},
    {**HERE, "day": 1},
    {**HERE, "day__gte": 1, "day__lt": 3},
    {**HERE, "day__in": [1, 2], "hour__gt": 0},
    {**HERE, "day": 1, "hour": 1},
    {"kind": "x"},
    {**HERE, "kind": "x"},
    {**HERE, "day": 1, "kind": "x"},
    {"tags__contains": "x"},
]
REFUSED: list[dict[str, Any]] = [
    {"site": "a"},
    {"month": 1},
    {"day": 1},
    {"site__gt": "a", "month": 1},
    {**HERE, "hour": 1},
    {**HERE, "day__gt": 1, "hour": 1},
    {"note": "x"},
    {**HERE, "note": "x"},
    {"kind": "x", "note": "x"},
    {"kind": "x", "tags__contains": "x"},
    {"kind": "x", "day": 1},
    {"kind": "x", "site": "a"},
    {"kind__gt": "x"},
]
ORDERS: list[tuple[dict[str, Any], tuple[str, ...], bool]] = [
    (HERE, ("day",), True),
    (HERE, ("-day",), True),
    (HERE, ("day", "-hour"), True),
    (HERE, ("-day", "hour"), True),
    ({**HERE, "day": 1}, ("-hour",), True),
    (HERE, ("day", "hour"), False),
    (HERE, ("-day", "-hour"), False),
    (HERE, ("hour",), False),
    ({}, ("day",), False),
    ({"site": "a"}, ("day",), False),
]


NEVER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"note": "x"}, {"note": "x"}),
    ({"day": 1}, {"day__in": [1]}),
    ({"day__in": [1]}, {"day__gt": 0}),
    ({"day__gt": 1}, {"day__gte": 2}),
    ({"note__lt": "x"}, {"note__lt": "y"}),
    ({"marks__gt": [1]}, {"marks__contains": 1}),
    ({"tags": {"x"}}, {}),
    ({"tags__in": [{"x"}]}, {}),
    ({"tags__gt": {"x"}}, {}),
]
TOGETHER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"note__gt": "a"}, {"note__lte": "x"}),
    ({"tags__contains": "x"}, {"tags__contains": "y"}),
    ({"marks": [1]}, {}),
]


@pytest.mark.parametrize(("one", "other"), NEVER, ids=repr)
def test_conditions_that_no_server_takes_are_refused_filtering_or_not(
    store: Store, one: dict[str, Any], other: dict[str, Any]
) -> None:
    rows = store.once("event", model_of).find(**HERE).filter(**one).filter(**other)
    for asked in (rows, rows.allow_filtering()):
        with pytest.raises(Rejected):
            store.do(asked.all())


@pytest.mark.parametrize(("one", "other"), TOGETHER, ids=repr)
def test_conditions_that_go_together_are_answered(store: Store, one: dict[str, Any], other: dict[str, Any]) -> None:
    rows = store.once("event", model_of).find(**HERE).filter(**one).filter(**other)
    assert store.do(rows.allow_filtering().all()) == []


def test_a_deletion_is_held_to_the_same(store: Store) -> None:
    rows = store.once("event", model_of).find(**HERE)
    for unfit in (rows.filter(day__gt=1).filter(day__gte=2), rows.filter(day=1).filter(day__in=[1])):
        with pytest.raises(CoodieError):
            store.do(unfit.delete())


@pytest.mark.parametrize("lookups", TAKEN, ids=repr)
def test_what_the_key_or_an_index_answers_needs_no_filtering(store: Store, lookups: dict[str, Any]) -> None:
    assert store.do(store.once("event", model_of).find(**lookups).all()) == []


@pytest.mark.parametrize("lookups", REFUSED, ids=repr)
def test_what_reads_more_than_it_returns_is_to_be_allowed(store: Store, lookups: dict[str, Any]) -> None:
    rows = store.once("event", model_of).find(**lookups)
    for answer in (rows.all, rows.first, rows.count, rows.paged_all):
        with pytest.raises(Rejected):  # Cassandra has several texts for it
            store.do(answer())
    assert store.do(rows.allow_filtering().all()) == []


@pytest.mark.parametrize(("lookups", "columns", "is_taken"), ORDERS, ids=repr)
def test_rows_are_ordered_as_they_are_stored(
    store: Store, lookups: dict[str, Any], columns: tuple[str, ...], is_taken: bool
) -> None:
    rows = store.once("event", model_of).find(**lookups).order_by(*columns).allow_filtering()
    if is_taken:
        assert store.do(rows.all()) == []
    else:
        with pytest.raises(Rejected):
            store.do(rows.all())
