"""Laws of keys, names and statements, for whatever values hypothesis thinks of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from coodie.cql.quote import column_name, literal, object_name, stored_name
from coodie.exceptions import InvalidQueryError
from coodie.lookups import CONDITION_OPERATORS
from coodie.plans import counters, documents, selection
from coodie.plans.writing import WriteOptions
from coodie.schema import Column, table_of
from coodie.types import canonical
from tests.unit.coodie.driving import drive
from tests.unit.coodie.models import PageHits, Post

HITS, POSTS = table_of(PageHits), table_of(Post)

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(st.characters(categories=None)),
    st.binary(),
    st.uuids(),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.dates(),
    st.times(),
    st.ip_addresses(),
    st.lists(st.integers(), max_size=3),
    st.sets(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
)
TYPES = st.sampled_from(
    "text ascii int bigint smallint tinyint varint float double boolean blob uuid timestamp date time inet decimal "
    "frozen<list<int>> frozen<set<text>>".split()
)


@given(cql_type=TYPES, value=ANYTHING)
def test_a_canonical_key_is_stable_hashable_and_refused_with_one_error_only(cql_type: str, value: Any) -> None:
    column = Column("k", cql_type, partition_index=0)
    try:
        key = canonical(column, value)
    except InvalidQueryError:
        return
    hash(key)
    again = canonical(column, key)
    assert (again, type(again), repr(again)) == (key, type(key), repr(key))


NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
ALIKE = st.sampled_from(
    [
        *(0, 0.0, -0.0, False, Decimal(0), Decimal("0.00"), Decimal("-0"), Decimal("0E+5"), "0", b"0"),
        *(1, 1.0, True, Decimal(1), Decimal("1.00"), Decimal("10E-1"), "1", 100, Decimal("1E+2"), Decimal(100)),
        *(NOON, NOON.replace(tzinfo=None), NOON.astimezone(timezone(timedelta(hours=5))), NOON.replace(fold=1)),
        *(UUID(int=10), str(UUID(int=10)), str(UUID(int=10)).upper(), "::a", "::A", "0:0::a", ip_address("::a")),
        *([1, 2], (1, 2), {1, 2}, frozenset([2, 1]), bytearray(b"0"), memoryview(b"0")),
    ]
)


@given(cql_type=TYPES, left=ALIKE, right=ALIKE)
def test_equal_keys_print_alike(cql_type: str, left: Any, right: Any) -> None:
    """Keys that are one in a dict are one in the database: nothing about them may differ."""
    column = Column("k", cql_type, partition_index=0)
    try:
        first, second = canonical(column, left), canonical(column, right)
    except InvalidQueryError:
        return
    if first == second and not isinstance(first, frozenset):  # a set prints in any order
        assert repr(first) == repr(second)


@given(name=st.text(min_size=1))
def test_quoted_names_come_back(name: str) -> None:
    assert column_name(name)[1:-1].replace('""', '"') == name
    assert stored_name(object_name(name)) == stored_name(name)
    assert object_name(object_name(name)) == object_name(name)
    assert object_name(name).strip('"').replace('""', "").count('"') == 0


@given(text=st.text())
def test_a_literal_cannot_be_left(text: str) -> None:
    quoted = literal(text)
    assert quoted[1:-1].replace("''", "'") == text
    assert quoted[1:-1].replace("''", "").count("'") == 0


DELTA = st.integers(-(2**63) + 1, 2**63 - 1).filter(bool)
DELTAS = st.dictionaries(st.sampled_from(["views", "unique_visitors"]), DELTA, min_size=1)


@given(deltas=DELTAS, shuffle=st.randoms())
def test_the_order_of_keywords_does_not_matter(deltas: dict[str, int], shuffle: Any) -> None:
    shuffled = list(deltas.items())
    shuffle.shuffle(shuffled)
    (first,), _ = drive(counters.increment(PageHits(url="/"), HITS, deltas))
    (second,), _ = drive(counters.increment(PageHits(url="/"), HITS, dict(shuffled)))
    assert first == second
    assert first.cql.count("?") == len(first.values) == len(deltas) + 1


@given(deltas=DELTAS)
def test_a_decrement_undoes_an_increment(deltas: dict[str, int]) -> None:
    (up,), _ = drive(counters.increment(PageHits(url="/"), HITS, deltas))
    (down,), _ = drive(counters.increment(PageHits(url="/"), HITS, deltas, sign=-1))
    assert (up.shape, up.values[:-1]) == (down.shape, tuple(-delta for delta in down.values[:-1]))


@given(ttl=st.none() | st.integers(0, 100), timestamp=st.none() | st.integers(0, 2**60))
def test_every_placeholder_has_a_value(ttl: int | None, timestamp: int | None) -> None:
    post = Post(author="ann", number=1)
    plans: list[Callable[[], Any]] = [
        lambda: documents.save(post, POSTS, WriteOptions(ttl, timestamp)),
        lambda: documents.insert(post, POSTS, WriteOptions(ttl)),  # a conditional write takes no timestamp
        lambda: documents.update(post, POSTS, {"title": "t"}, ttl=ttl, if_conditions={"title": None}),
        lambda: documents.delete(post, POSTS, WriteOptions(None, timestamp)),
    ]
    for plan in plans:
        (statement,), _ = drive(plan())
        assert statement.cql.count("?") == len(statement.values)


COMPARED = [f"number__{operator}" for operator in CONDITION_OPERATORS if operator != "in"]
LOOKUP = st.sampled_from([*COMPARED, "number", "author"])


@given(
    lookups=st.dictionaries(LOOKUP, st.none(), max_size=4),
    alternatives=st.none() | st.lists(st.integers(0, 9), min_size=1),
    limit=st.none() | st.integers(1, 9),
)
def test_the_text_of_a_query_does_not_depend_on_its_values(
    lookups: dict[str, None], alternatives: list[int] | None, limit: int | None
) -> None:
    filters: dict[str, Any] = {name: "ann" if name == "author" else 5 for name in lookups}
    if alternatives is not None:
        filters["number__in"] = alternatives
    statement = selection.select(POSTS, Post.find(**filters)._query, limit=limit)
    assert statement.cql.count("?") == len(statement.values) == len(filters) + (limit is not None)
