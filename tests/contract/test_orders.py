"""The order of clustering columns of types that do not sort as their text does, and of the columns after them."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import create_model

from coodie.exceptions import InvalidQueryError
from coodie.fields import ClusteringKey, Double, Frozen, PrimaryKey, TimeUUID
from tests.contract.stores import Store, fresh

_AT_ONCE = "d0b4a1c0-0000-11ee-"
TYPES: dict[str, tuple[Any, list[Any]]] = {
    "inet": (
        IPv4Address | IPv6Address,
        [IPv6Address("::1"), IPv4Address("9.0.0.1"), IPv4Address("10.0.0.1"), IPv6Address("fe80::1")],
    ),
    "uuid": (
        UUID,
        [
            UUID("ffffffff-0000-1000-8000-000000000000"),
            UUID("00000000-0000-11ee-8000-000000000000"),
            UUID("00000000-0000-11ee-8000-0000000000ff"),
            UUID("00000000-0000-4000-8000-000000000000"),
            UUID("ffffffff-ffff-4fff-bfff-ffffffffffff"),
        ],
    ),
    "timeuuid": (
        Annotated[UUID, TimeUUID()],
        [UUID(_AT_ONCE + last) for last in ("8000-0000000000ff", "8000-000000000000", "8000-00000000007f")],
    ),
    "tuple": (Annotated[tuple[int, str], Frozen()], [(-5, "a"), (9, "a"), (9, "b"), (10, "")]),
    "list": (Annotated[list[int], Frozen()], [[], [2], [2, 1], [10]]),
    "set": (frozenset[int], [frozenset(), frozenset({2, 10}), frozenset({9}), frozenset({10})]),
}


def model_of(store: Store, kind: Any) -> Any:
    fields: dict[str, Any] = {
        "site": (Annotated[str, PrimaryKey()], ...),
        "at": (Annotated[kind, ClusteringKey()], ...),
    }
    made: Any = create_model("Ordered", __base__=store.face.Document, value=(kind | None, None), **fields)
    made.Settings = type("Settings", (), {"name": fresh("ordered")})
    return made


@pytest.mark.parametrize("name", TYPES)
def test_rows_come_in_the_order_of_the_type(store: Store, name: str) -> None:
    kind, values = TYPES[name]
    model = store.once(name, lambda opened: model_of(opened, kind))
    for value in reversed(values):
        store.do(model(site="a", at=value, value=value).save())
    here = model.find(site="a")
    assert [row.at for row in store.do(here.all())] == values
    assert [row.at for row in store.do(here.order_by("-at").all())] == values[::-1]
    assert [row.at for row in store.do(model.find(site="a", at__gt=values[1]).all())] == values[2:]
    if name not in ("tuple", "list", "set"):  # max() of these is refused on every store
        assert store.do(here.max("at")) == values[-1]
    first = store.do(here.fetch_size(2).paged_all())
    second = store.do(here.fetch_size(2).page(first.paging_state).paged_all())
    assert [row.at for row in first.data + second.data] == values[:4]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Annotated[dict[int, int], Frozen()], [{1: 2}, {1: 3}]),
        (Annotated[list[Decimal], Frozen()], [[Decimal(9)], [Decimal(10)]]),
        (Annotated[set[UUID], Frozen()], [{UUID(int=1)}, {UUID(int=1), UUID(int=2)}]),
        (Annotated[tuple[int, frozenset[int]], Frozen()], [(1, frozenset({9})), (1, frozenset({9, 10}))]),
    ],
    ids=["map", "decimals", "uuids", "nested"],
)
def test_values_that_have_no_order_here_are_refused_as_clustering_columns(store: Store, kind: Any, values: Any) -> None:
    model = model_of(store, kind)
    if not store.is_cassandra:
        with pytest.raises(
            InvalidQueryError, match=r"The SQLite store has no order of clustering columns of type .*'at'"
        ):
            store.table(model)
        return
    if isinstance(values[0], dict):  # no store takes a map in a key
        with pytest.raises(InvalidQueryError, match=r"Column 'at'"):
            store.do(model(site="a", at=values[0]).save())
        return
    store.table(model)
    for value in reversed(values):
        store.do(model(site="a", at=value).save())
    assert [row.at for row in store.do(model.find(site="a").all())] == values


def test_a_range_of_values_that_have_no_order_here_is_refused(store: Store) -> None:
    class Team(store.face.Document):  # type: ignore[name-defined,misc]  # the face is known at run time alone
        name: Annotated[str, PrimaryKey()]
        players: frozenset[UUID]

        class Settings:
            name = fresh("team")

    one, two = frozenset({UUID(int=1)}), frozenset({UUID(int=1), UUID(int=2)})
    store.do(store.table(Team).create(name="a", players=two))
    asked = Team.find(players__gt=one).allow_filtering()
    with _refused_on_sqlite(store):
        assert store.do(asked.count()) == 1
    with _refused_on_sqlite(store):
        assert store.do(Team.find(name="a").update(players=one, if_conditions={"players__gt": one})).applied


def _refused_on_sqlite(store: Store) -> AbstractContextManager[Any]:
    said = r"no order of values of type frozen<set<uuid>> \('players'\)"
    return nullcontext() if store.is_cassandra else pytest.raises(InvalidQueryError, match=said)


def test_what_follows_a_reversed_column_is_reversed_too(store: Store) -> None:
    class Event(store.face.Document):  # type: ignore[name-defined,misc]  # the face is known at run time alone
        site: Annotated[str, PrimaryKey()]
        day: Annotated[int, ClusteringKey(clustering_key_index=0)]
        hour: Annotated[int, ClusteringKey(order="DESC", clustering_key_index=1)]

        class Settings:
            name = fresh("event")

    model = store.table(Event)
    for day, hour in ((1, 1), (1, 2), (2, 1), (2, 2)):
        store.do(model(site="a", day=day, hour=hour).save())
    rows = store.do(model.find(site="a").order_by("-day").all())
    assert [(row.day, row.hour) for row in rows] == [(2, 1), (2, 2), (1, 1), (1, 2)]


def test_infinities_add_to_nan_and_are_cast_to_the_nearest(store: Store) -> None:
    class Reading(store.face.Document):  # type: ignore[name-defined,misc]  # the face is known at run time alone
        site: Annotated[str, PrimaryKey()]
        at: Annotated[int, ClusteringKey()]
        ratio: Annotated[float, Double()]

        class Settings:
            name = fresh("reading")

    model = store.table(Reading)
    for at, ratio in enumerate((math.inf, -math.inf, 1e300)):
        store.do(model(site="a", at=at, ratio=ratio).save())
    here = model.find(site="a")
    assert math.isnan(store.do(here.sum("ratio")))
    assert math.isnan(store.do(here.avg("ratio")))
    rows = store.do(here.cast("ratio", "int").values_list("ratio").all())
    assert rows == [(2**31 - 1,), (-(2**31),), (2**31 - 1,)]
