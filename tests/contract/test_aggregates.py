"""Aggregates on every store: exact sums, averages, extremes, several at once, the age of values."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest

from coodie.exceptions import InvalidQueryError
from coodie.fields import BigInt, ClusteringKey, Counter, Double, Frozen, PrimaryKey, TimeUUID, TinyInt, VarInt
from tests.contract.stores import Store, fresh
from tests.contract.writing import put

HUGE = 2**63 - 1
DAY = date(2026, 3, 1)


def measured(store: Store) -> Any:
    """Return a model of measurements, a column of each kind of number."""

    class Sample(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        place: Annotated[str, PrimaryKey()]
        number: Annotated[int, ClusteringKey()]
        tiny: Annotated[int, TinyInt()] = 0
        big: Annotated[int, BigInt()] = 0
        endless: Annotated[int, VarInt()] = 0
        single: float = 0.0
        double: Annotated[float, Double()] = 0.0
        price: Decimal | None = None
        label: str | None = None
        taken: date | None = None

        class Settings:
            name = fresh("samples")

    return Sample


@pytest.fixture
def samples(store: Store) -> Any:
    """Give five measurements in one partition, one in another; the tests share them and only read."""
    if "samples" not in store.shared:
        sample = store.once("samples", measured)
        for number in range(5):
            given = {"tiny": 100, "big": HUGE, "endless": 10**30, "single": 0.5, "double": 0.25}
            priced = {"price": Decimal("0.1"), "label": f"n{number}", "taken": DAY} if number else {}
            store.do(sample(place="a", number=number, **given, **priced).save())
        store.do(sample(place="b", number=0, tiny=-3, big=-HUGE, price=Decimal("-1.25")).save())
    return store.shared["samples"]


def here(samples: Any) -> Any:
    return samples.find(place="a")


# --- one at a time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "total", "average"),
    [
        ("number", 10, 2.0),
        ("tiny", 500, 100.0),
        ("big", 5 * HUGE, float(HUGE)),
        ("endless", 5 * 10**30, 1e30),
        ("single", 2.5, 0.5),
        ("double", 1.25, 0.25),
        ("price", Decimal("0.4"), Decimal("0.1")),
    ],
)
def test_sums_are_exact_and_averages_are_of_the_values(
    store: Store, samples: Any, column: str, total: Any, average: Any
) -> None:
    found = store.do(here(samples).sum(column)), store.do(here(samples).avg(column))
    assert found == (total, average)
    assert tuple(map(type, found)) == (type(total), type(average))


def test_an_average_of_integers_is_not_cut(store: Store, samples: Any) -> None:
    assert store.do(here(samples).filter(number__gte=3).avg("number")) == 3.5
    assert store.do(samples.find(place__in=["a", "b"]).avg("tiny")) == 497 / 6


@pytest.mark.parametrize(
    ("column", "least", "greatest"),
    [
        ("number", 0, 4),
        ("big", HUGE, HUGE),
        ("endless", 10**30, 10**30),
        ("single", 0.5, 0.5),
        ("price", Decimal("0.1"), Decimal("0.1")),
        ("label", "n1", "n4"),
        ("taken", DAY, DAY),
    ],
)
def test_extremes_have_the_type_of_the_column(
    store: Store, samples: Any, column: str, least: Any, greatest: Any
) -> None:
    found = store.do(here(samples).min(column)), store.do(here(samples).max(column))
    assert found == (least, greatest)
    assert type(found[0]) is type(least)


def test_without_rows_a_sum_is_zero_and_the_rest_is_none(store: Store, samples: Any) -> None:
    for found in (samples.find(place="z"), samples.find(place__in=[])):
        for column, zero in (("big", 0), ("double", 0.0), ("price", Decimal(0))):
            total = store.do(found.sum(column))
            assert (total, type(total)) == (zero, type(zero))
            assert [store.do(answer) for answer in (found.avg(column), found.min(column), found.max(column))] == [
                None, None, None,
            ]  # fmt: skip
        assert store.do(found.count()) == 0


def test_several_are_read_at_once(store: Store, samples: Any) -> None:
    answer = store.do(
        here(samples).aggregate(
            rows="count(*)", labels="count(label)", total="sum(big)", mean="avg(big)", last="MAX( label )"
        )
    )
    assert answer == {"rows": 5, "labels": 4, "total": 5 * HUGE, "mean": float(HUGE), "last": "n4"}
    assert store.do(samples.find(place__in=[]).aggregate(n="count(*)", s="sum(big)", m="avg(big)")) == {
        "n": 0, "s": 0, "m": None,
    }  # fmt: skip


def test_what_is_shown_does_not_matter_to_an_aggregate(store: Store, samples: Any) -> None:
    assert store.do(here(samples).only("label").sum("tiny")) == 500
    assert store.do(here(samples).values_list("label").consistency("ONE").timeout(20).max("number")) == 4


# --- counters -----------------------------------------------------------------------------------------------------


def counted(store: Store, kind: str) -> Any:
    """Return a model of daily counters, native or exact."""

    class Visits(store.face.CounterDocument):  # type: ignore[name-defined,misc]  # a face chosen at run time
        site: Annotated[str, PrimaryKey()]
        day: Annotated[date, ClusteringKey(order="DESC")]
        hits: Annotated[int, Counter()]
        shares: Annotated[int, Counter()]

        class Settings:
            name = fresh("visits")
            counters = kind

    return store.table(Visits)


def test_counters_are_summed_over_a_range(store: Store) -> None:
    visits = counted(store, "native")
    for day in range(1, 8):
        store.do(visits(site="a", day=date(2026, 3, day)).increment(hits=day))
    week = visits.find(site="a", day__gte=date(2026, 3, 2), day__lt=date(2026, 3, 5))
    assert store.do(week.sum("hits")) == 2 + 3 + 4
    assert store.do(week.sum("shares")) == 0
    assert store.do(week.aggregate(hits="sum(hits)", days="count(*)", last="max(day)")) == {
        "hits": 9, "days": 3, "last": date(2026, 3, 4),
    }  # fmt: skip
    for function in ("avg", "min", "max", "count"):
        with pytest.raises(InvalidQueryError, match="only sum.. is the same"):
            store.do(week.aggregate(n=f"{function}(shares)"))
    assert store.do(week.values_list("day", "hits", "shares").first()) == (date(2026, 3, 4), 4, 0)
    assert vars(store.do(week.only("hits").first())) == {"hits": 4}
    assert store.do(week.only("hits", "shares").json())[0] == '{"hits": 4, "shares": 0}'


def test_exact_counters_are_summed_over_all_writers(store: Store) -> None:
    visits = counted(store, "exact")
    for writer in ("x", "y", "z"):
        for day in range(1, 8):
            put(visits, ("a", date(2026, 3, day)), writer, hits=day)
    week = visits.find(site="a", day__gte=date(2026, 3, 2), day__lt=date(2026, 3, 5))
    assert store.do(week.sum("hits")) == 3 * (2 + 3 + 4)
    assert store.do(week.aggregate(hits="sum(hits)", last="max(day)")) == {"hits": 27, "last": date(2026, 3, 4)}
    assert store.do(week.values_list("day", "hits", "shares").first()) == (date(2026, 3, 4), 12, 0)
    assert [vars(one) for one in store.do(week.only("hits").all())] == [{"hits": 12}, {"hits": 9}, {"hits": 6}]
    assert store.do(visits.find().distinct().values_list("site").all()) == [("a",)]
    assert store.do(week.only("hits", "shares").json())[0] == '{"hits": 12, "shares": 0}'
    if store.is_cassandra:
        hits, token = store.do(week.values_list("hits").select_token("site").first())
        assert (hits, type(token)) == (12, int)
    with pytest.raises(InvalidQueryError, match="over the rows of its writers"):
        store.do(week.avg("hits"))


def test_extremes_of_times_in_uuids_are_by_time_and_collections_have_none(store: Store) -> None:
    class Event(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        key: Annotated[int, PrimaryKey()]
        at: Annotated[UUID, TimeUUID()]
        parts: Annotated[set[int], Frozen()]

        class Settings:
            name = fresh("events")

    store.table(Event)
    early, late = UUID("ffffffff-e788-11f0-8554-02fc00000001"), UUID("00000000-e788-11f1-8554-02fc00000001")
    for key, at in enumerate((early, late)):
        store.do(Event(key=key, at=at, parts={key}).save())
    assert (store.do(Event.find().min("at")), store.do(Event.find().max("at"))) == (early, late)
    with pytest.raises(InvalidQueryError, match="have no order"):
        store.do(Event.find().min("parts"))


# --- the age of values --------------------------------------------------------------------------------------------


def test_a_value_tells_when_it_was_written_and_when_it_expires(store: Store) -> None:
    sample = store.table(measured(store))
    begun = time.time()
    store.do(sample(place="a", number=1, label="x", price=None).save(ttl=5_000))
    found = sample.find(place="a")
    assert 4_900 < store.do(found.column_ttl("label")) <= 5_000
    assert store.do(found.column_ttl("price")) is None
    assert store.do(sample.find(place="z").column_ttl("label")) is None
    assert store.do(sample.find(place__in=[]).column_ttl("label")) is None
    if not store.is_cassandra:
        with pytest.raises(InvalidQueryError, match="SQLite store has no"):
            store.do(found.writetime("label"))
        return
    assert begun - 60 < store.do(found.writetime("label")) / 1e6 < time.time() + 60
    assert store.do(sample.find(place="z").writetime("label")) is None
    store.do(sample(place="a", number=0, label="y").save(timestamp=1_000_000))
    assert store.do(found.writetime("label")) == 1_000_000
    assert store.do(found.order_by("-number").column_ttl("label")) > 0


def test_keys_counters_and_collections_have_no_age(store: Store) -> None:
    class Aged(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        key: Annotated[str, PrimaryKey()]
        tags: set[str]

        class Settings:
            name = fresh("aged")

    store.table(Aged)
    for terminal in ("writetime", "column_ttl"):
        for column, said in (("key", "'key' is part of the primary key"), ("tags", "'tags'.*each of its elements")):
            with pytest.raises(InvalidQueryError, match=said):
                store.do(getattr(Aged.find(), terminal)(column))


# --- what is refused ----------------------------------------------------------------------------------------------

REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda q: q.sum("label"), "sum.. adds up numbers, and column 'label' is text"),
    (lambda q: q.avg("taken"), "avg.. adds up numbers, and column 'taken' is date"),
    (lambda q: q.sum("colour"), "Unknown column 'colour'"),
    (lambda q: q.aggregate(), "aggregate.. names at least one"),
    (lambda q: q.aggregate(n="median(big)"), "count, sum, avg, min, max"),
    (lambda q: q.aggregate(n="sum(*)"), "give 'count"),
    (lambda q: q.aggregate(n="sum(big); DROP TABLE x"), "give 'count"),
    (lambda q: q.aggregate(n=7), "give 'count"),
    (lambda q: q.limit(2).sum("big"), "sum.. takes no limit.."),
    (lambda q: q.order_by("-number").limit(2).avg("big"), "avg.. takes no limit.., no order_by.."),
    (lambda q: q.group_by("place").aggregate(n="count(*)"), "aggregate.. takes no group_by.."),
    (lambda q: q.per_partition_limit(1).max("big"), "takes no per_partition_limit"),
    (lambda q: q.distinct().min("big"), "takes no distinct"),
    (lambda q: q.page(b"x").min("big"), "takes no page"),
    (lambda q: q.page(b"x").count(), "takes no page"),
    (lambda q: q.page(b"x").column_ttl("label"), "ttl.. takes no page"),
    (lambda q: q.cast("big", "text").sum("big"), "takes no cast"),
]


@pytest.mark.parametrize(("call", "said"), REFUSED)
def test_what_an_aggregate_cannot_honour_is_refused(
    store: Store, samples: Any, call: Callable[[Any], Any], said: str
) -> None:
    with pytest.raises(InvalidQueryError, match=said):
        store.do(call(here(samples)))
