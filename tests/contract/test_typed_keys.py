"""Keys and static columns of every type, and values that no column holds, on every store."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any
from uuid import UUID, uuid1

import pytest
from pydantic import create_model

from coodie import CqlDuration
from coodie.exceptions import InvalidQueryError
from coodie.fields import (
    Ascii,
    BigInt,
    ClusteringKey,
    Double,
    Frozen,
    PrimaryKey,
    SmallInt,
    Static,
    TimeUUID,
    TinyInt,
    VarInt,
)
from tests.contract.stores import Store, fresh
from tests.contract.typed import Level, Mood, shape_of

NOON = datetime(2024, 5, 1, 12, 30, 15, 123_000, tzinfo=UTC)
IN_PARTITION: dict[str, tuple[Any, Any]] = {
    "word": (str, "a\0b"),
    "amount": (Decimal, Decimal("-1.5")),
    "at": (datetime, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
    "host": (IPv4Address | IPv6Address, IPv6Address("::1")),
    "ratio": (float, 0.5),
}
CLUSTERED: dict[str, tuple[Any, Any]] = {
    "plain": (Annotated[str, Ascii()], "abc"),
    "empty": (str, ""),
    "number": (int, -(2**31)),
    "big": (Annotated[int, BigInt()], 2**63 - 1),
    "small": (Annotated[int, SmallInt()], -5),
    "tiny": (Annotated[int, TinyInt()], 127),
    "huge": (Annotated[int, VarInt()], -(2**100)),
    "wide": (Annotated[float, Double()], 0.1),
    "truth": (bool, False),
    "data": (bytes, b"\0\xff"),
    "one": (UUID, UUID(int=5)),
    "two": (Annotated[UUID, TimeUUID()], uuid1()),
    "then": (datetime, NOON),
    "day": (date, date(1, 1, 1)),
    "clock": (time, time(23, 59, 59, 999_999)),
    "price": (Decimal, Decimal("1E+3")),
    "mood": (Mood, "good"),
    "level": (Level, 3),
    "numbers": (Annotated[tuple[int, str], Frozen()], (1, "a")),
    "words": (frozenset[str], frozenset({"a", "b"})),
}


def keyed_model(store: Store) -> Any:
    """Return a model whose key has every type that a key may have."""
    fields: dict[str, Any] = {
        name: (Annotated[kind, PrimaryKey(at)], ...) for at, (name, (kind, _)) in enumerate(IN_PARTITION.items())
    }
    for at, (name, (kind, _)) in enumerate(CLUSTERED.items()):
        fields[name] = (Annotated[kind, ClusteringKey(clustering_key_index=at)], ...)
    made: Any = create_model("Keyed", __base__=store.face.Document, note=(str, ""), **fields)
    made.Settings = type("Settings", (), {"name": fresh("keyed")})
    return made


def test_keys_of_every_type_come_back(store: Store) -> None:
    model = store.once("keyed", keyed_model)
    key = {name: value for name, (_, value) in {**IN_PARTITION, **CLUSTERED}.items()}
    store.do(model(**key, note="first").save())
    store.do(model(**key, note="second").save())
    (found,) = store.do(model.find(**key).all())
    assert {name: shape_of(getattr(found, name)) for name in key} == {name: shape_of(key[name]) for name in key}
    assert found.note == "second"
    store.do(found.delete())
    assert store.do(model.find_one(**key)) is None


def shared_model(store: Store) -> Any:
    """Return a model with static columns."""

    class Shared(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        site: Annotated[str, PrimaryKey()]
        number: Annotated[int, ClusteringKey()]
        owner: Annotated[str | None, Static()] = None
        limits: Annotated[dict[str, Decimal], Static()] = {}
        since: Annotated[datetime | None, Static()] = None

        class Settings:
            name = fresh("shared")

    return Shared


def test_a_static_column_has_one_value_in_its_partition(store: Store) -> None:
    if not store.is_cassandra:
        with pytest.raises(InvalidQueryError, match="no static columns"):
            store.table(shared_model(store))
        return
    model, site = store.once("shared", shared_model), fresh("site")
    store.do(model(site=site, number=1, owner="ann", limits={"a": Decimal("1.50")}, since=NOON).save())
    store.do(model(site=site, number=2, owner="bob", limits={"b": Decimal("2.50")}, since=NOON).save())
    rows = store.do(model.find(site=site).values_list("number", "owner", "limits", "since").all())
    assert rows == [(1, "bob", {"b": Decimal("2.50")}, NOON), (2, "bob", {"b": Decimal("2.50")}, NOON)]


REFUSED: list[tuple[str, Any, Any]] = [
    ("int_plain", int, 2**31),
    ("int_plain", int, True),
    ("int_plain", int, "5"),
    ("int_big", Annotated[int, BigInt()], -(2**63) - 1),
    ("int_tiny", Annotated[int, TinyInt()], 128),
    ("float_plain", float, 1e39),
    ("text", str, "\ud800"),
    ("text", str, b"x"),
    ("text", str, 5),
    ("text_ascii", Annotated[str, Ascii()], "\u00e9"),
    ("truth", bool, 1),
    ("data", bytes, "x"),
    ("one", UUID, "no uuid"),
    ("two", Annotated[UUID, TimeUUID()], UUID(int=5)),
    ("at", datetime, date(2024, 1, 1)),
    ("day", date, NOON),
    ("clock", time, time(1, tzinfo=UTC)),
    ("amount", Decimal, Decimal("NaN")),
    ("amount", Decimal, 1.5),
    ("host", IPv4Address, IPv6Address("fe80::1%eth0")),
    ("mapped", IPv6Address, IPv6Address("::ffff:10.0.0.1")),
    ("mapped_in_set", set[IPv6Address], {IPv6Address("::ffff:10.0.0.1")}),
    ("mapped_in_dict", dict[str, IPv6Address], {"a": IPv6Address("::ffff:10.0.0.1")}),
    ("period", CqlDuration, timedelta(days=1)),
    ("list_int", list[int], [1, None]),
    ("list_int", list[int], [1, 2**31]),
    ("list_int", list[int], "12"),
    ("list_int", list[int], {1}),
    ("list_deep", list[list[str]], [["a"], [None]]),
    ("set_text", set[str], {"\ud800"}),
    ("set_text", set[str], ["a"]),
    ("set_text", set[str], {None}),
    ("dict_number", dict[str, int], {"a": None}),
    ("dict_number", dict[str, int], {None: 1}),
    ("dict_number", dict[str, int], {"a": "1"}),
    ("dict_number", dict[str, int], [("a", 1)]),
    ("pair", tuple[int, str], (1,)),
    ("pair", tuple[int, str], (1, 2)),
]


def strict_model(store: Store) -> Any:
    """Return a model of the columns that refuse."""
    fields: dict[str, Any] = {name: (kind | None, None) for name, kind, _ in REFUSED}
    made: Any = create_model("Strict", __base__=store.face.Document, id=(Annotated[str, PrimaryKey()], ...), **fields)
    made.Settings = type("Settings", (), {"name": fresh("strict")})
    return made


@pytest.mark.parametrize(("name", "kind", "value"), REFUSED)
def test_what_a_column_cannot_hold_is_refused_before_it_is_sent(store: Store, name: str, kind: Any, value: Any) -> None:
    model = store.once("strict", strict_model)
    document = model(id=fresh("refused"))
    setattr(document, name, value)
    for write in (document.save, document.insert, document.save_json, lambda: document.update(**{name: value})):
        with pytest.raises(InvalidQueryError, match=rf"Column '{name}' .*nothing was sent") as caught:
            store.do(write())
        assert repr(value) not in str(caught.value)
    assert store.do(model.find_one(id=document.id)) is None


def test_an_ipv4_address_inside_an_ipv6_one_is_sought_by_no_query(store: Store) -> None:
    """Cassandra makes the IPv4 one of it in collections and after IN, but not after =."""
    model = store.once("strict", strict_model)
    mapped = IPv6Address("::ffff:10.0.0.1")
    for lookups in ({"mapped": mapped}, {"mapped__in": [mapped]}, {"mapped_in_set__contains": mapped}):
        with pytest.raises(InvalidQueryError, match="takes no IPv4 address inside an IPv6 one"):
            store.do(model.find(**lookups).allow_filtering().all())
