"""
Faults of the existing library in types and in cost, absent here: one test for each, named after it, on every store.

The list is section 11 of the API page; its other parts stand in the files beside this one. What importing costs is in
``tests/unit/coodie/test_imports.py``.
"""

from __future__ import annotations

import asyncio
import enum
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any

import pytest

from coodie import sync
from coodie.exceptions import InvalidQueryError
from coodie.fields import ClusteringKey, Counter, PrimaryKey
from tests.contract.stores import Store, fresh
from tests.contract.watching import made, watched

KEY = Annotated[str, PrimaryKey()]
MOMENT = datetime(2024, 5, 1, 12, 30, 15, 123_000, tzinfo=UTC)
SAVED: dict[str, tuple[Any, Any]] = {
    "date": (date, date(2024, 2, 29)),
    "time": (time, time(23, 59, 59, 999_999)),
    "inet": (IPv4Address, IPv4Address("10.0.0.1")),
    "inet6": (IPv6Address, IPv6Address("2001:db8::1")),
    "set": (set[str], {"b", "a"}),
    "map": (dict[str, int], {"b": 1, "a": 2}),
    "moment": (datetime, MOMENT),
    "uuid_like": (str, "11111111-2222-3333-4444-555555555555"),
}


def every_type(store: Store) -> Any:
    """Return a model with a column for each of the types."""
    columns = {name: annotation for name, (annotation, _) in SAVED.items()}
    return made(store.face.Document, {"id": KEY, **columns})


def test_values_do_not_come_back_as_types_of_the_driver(store: Store) -> None:
    model = store.once("every type", every_type)
    saved = model(id=fresh("saved"), **{name: value for name, (_, value) in SAVED.items()})
    store.do(saved.save())
    for read in (store.do(model.get(id=saved.id)), store.listed(model.find(id=saved.id))[0]):
        assert read == saved
        for name, (_, value) in SAVED.items():
            assert type(getattr(read, name)) is type(value), name
        assert read.moment.tzinfo is not None


class Colour(enum.Enum):
    """Stored by value."""

    RED = "red"
    BLUE = "blue"


def test_enums_are_not_refused(store: Store) -> None:
    model = store.table(made(store.face.Document, {"id": KEY, "colour": Colour}))
    store.do(model(id="a", colour=Colour.RED).save())
    assert store.do(model.get(id="a")).colour == Colour.RED.value
    assert store.do(model.find(colour=Colour.RED).allow_filtering().count()) == 1
    assert store.do(model.find(colour=Colour.BLUE).allow_filtering().count()) == 0


def test_annotations_postponed_inside_a_function_do_not_fail(store: Store) -> None:
    class Shade(enum.Enum):  # known in this function alone
        DARK = "dark"

    class Wall(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        id: Annotated[str, PrimaryKey()]
        shade: Shade

        class Settings:
            name = fresh("walls")

    store.table(Wall)
    store.do(Wall(id="a", shade=Shade.DARK).save())
    assert store.do(Wall.get(id="a")).shade == "dark"


def test_a_field_named_like_an_operator_can_be_filtered(store: Store) -> None:
    columns = {"part": KEY, "opt__in": Annotated[int, ClusteringKey()]}
    model = store.table(made(store.face.Document, columns))
    for number in range(4):
        store.do(model(part="a", opt__in=number).save())
    assert [row.opt__in for row in store.do(model.find(part="a", opt__in=2).all())] == [2]
    assert [row.opt__in for row in store.do(model.find(part="a", opt__in__in=[0, 3]).all())] == [0, 3]
    assert [row.opt__in for row in store.do(model.find(part="a", opt__in__gt=1).all())] == [2, 3]


# --- cost ---------------------------------------------------------------------------------------------------------


def posts(store: Store) -> Any:
    """Return a model of posts."""
    return made(store.face.Document, {"id": KEY, "title": str}, title="")


Call = Callable[[Any, int], Any]
TIMED: dict[str, Call] = {
    "save": lambda model, number: model(id="a").save(timestamp=1_700_000_000_000_000 + number),
    "update": lambda model, number: model.find(id="a").timestamp(number).update(title="t"),
    "delete": lambda model, number: model(id="b").delete(timestamp=number),
}
CALLS: dict[str, Call] = {
    "save ttl": lambda model, number: model(id="a").save(ttl=1000 + number),
    "insert ttl": lambda model, number: model(id=fresh("a")).insert(ttl=1000 + number),
    "update ttl": lambda model, number: model(id="a").update(title="t", ttl=1000 + number),
    "queryset ttl": lambda model, number: model.find(id="a").ttl(1000 + number).update(title="t"),
    "limit": lambda model, number: model.find().limit(number).all(),
    "per partition": lambda model, number: model.find().per_partition_limit(number).all(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_numbers_are_not_written_into_prepared_texts(store: Store, call: Call) -> None:
    bound(store, call)


@pytest.mark.parametrize("call", TIMED.values(), ids=list(TIMED))
def test_timestamps_are_not_written_into_prepared_texts(store: Store, call: Call) -> None:
    if store.is_cassandra:
        bound(store, call)
    else:
        with pytest.raises(InvalidQueryError, match="no write timestamps"):
            bound(store, call)


def bound(store: Store, call: Call) -> None:
    """Check that a call with other numbers sends the same text."""
    model = store.once("posts", posts)
    with watched(store) as driver:
        for number in (1, 2):
            store.do(call(model, number))
    first, second = driver.sent
    assert first.cql == second.cql
    assert first.cql.count("?") == len(first.values)
    assert first.values != second.values


def test_async_calls_of_acsylla_do_not_hop_to_a_thread(store: Store) -> None:
    if store.kind != "acsylla" or store.face is sync:
        pytest.skip("acsylla is the one native to a loop")
    model = store.once("posts", posts)

    async def read() -> list[int]:
        here = store.driver._sessions._open[asyncio.get_running_loop()]
        session, threads = here.foreign, []

        class Noting:
            async def execute(self, query: Any) -> Any:
                threads.append(threading.get_ident())
                return await session.execute(query)

        here.foreign = Noting()
        try:
            await asyncio.gather(*(model.find(id="a").all() for _ in range(20)))
        finally:
            here.foreign = session
        return threads

    assert store.do(read()) == [threading.get_ident()] * 20


class Preparing:
    """A session that counts what is prepared."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.prepared: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def prepare(self, text: str) -> Any:
        self.prepared.append(text)
        return self._session.prepare(text)

    async def create_prepared(self, text: str) -> Any:
        self.prepared.append(text)
        return await self._session.create_prepared(text)


def test_a_hundred_tasks_on_a_cold_statement_do_not_prepare_it_many_times(store: Store) -> None:
    if not store.is_cassandra:
        pytest.skip("nothing is prepared")
    model = store.table(made(store.face.CounterDocument, {"id": KEY, "hits": Annotated[int, Counter()]}))
    sessions = watch_preparing(store)
    if store.face is sync:
        with ThreadPoolExecutor(100) as threads:
            list(threads.map(lambda _: model(id="a").increment(hits=1), range(100)))
    else:

        async def all_at_once() -> None:
            await asyncio.gather(*(model(id="a").increment(hits=1) for _ in range(100)))

        store.do(all_at_once())
    prepared = [text for session in sessions for text in session.prepared if "UPDATE" in text]
    assert len(prepared) == 1
    assert store.do(model.get(id="a")).hits == 100


def watch_preparing(store: Store) -> list[Preparing]:
    """Put what counts before every session of a driver."""
    if store.kind == "cassandra":
        if not isinstance(store.driver._session, Preparing):
            store.driver._session = Preparing(store.driver._session)
        return [store.driver._session]
    watchers = []
    for session in store.driver._sessions._open.values():
        session.prepared._session = Preparing(session.foreign)
        watchers.append(session.prepared._session)
    return watchers
