"""What a QuerySet shows of its rows, on every store: some columns, tuples, casts, partitions, groups, tokens, JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import Field, PrivateAttr, ValidationError

from coodie.exceptions import InvalidQueryError
from coodie.fields import BigInt, ClusteringKey, PrimaryKey, Static
from tests.contract.stores import Store, fresh


def shelved(store: Store) -> Any:
    """Return a model of numbered things on the shelves of shops."""

    class Thing(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        shop: Annotated[str, PrimaryKey(partition_key_index=0)]
        shelf: Annotated[int, PrimaryKey(partition_key_index=1)]
        number: Annotated[int, ClusteringKey()]
        name: Annotated[str, Field(min_length=2)]
        stock: Annotated[int, BigInt()] = 0
        tags: set[str] = Field(default_factory=set)
        price: Decimal | None = None
        _seen: int = PrivateAttr(default=0)

        class Settings:
            name = fresh("things")

    return Thing


@pytest.fixture
def things(store: Store) -> Any:
    """Give three shelves with three things each; the tests share them and only read."""
    if "things" not in store.shared:
        thing = store.once("things", shelved)
        for shop, shelf in (("a", 1), ("a", 2), ("b", 1)):
            for number in range(3):
                made = thing(shop=shop, shelf=shelf, number=number, name=f"{shop}{shelf}{number}", stock=10 * number)
                if number:
                    made.tags, made.price = {"x", "y"}, Decimal("1.50")
                store.do(made.save())
    return store.shared["things"]


def shelf(things: Any) -> Any:
    """Return the QuerySet of one partition."""
    return things.find(shop="a", shelf=1)


# --- some columns -------------------------------------------------------------------------------------------------


def test_only_gives_documents_of_those_fields_alone(store: Store, things: Any) -> None:
    for found in (shelf(things).only("name", "stock"), shelf(things).only("stock").only("name", "stock", "name")):
        documents = store.do(found.all())
        assert [(type(d), d.name, d.stock) for d in documents] == [(things, f"a1{n}", 10 * n) for n in range(3)]
        assert [vars(d) for d in documents] == [{"name": f"a1{n}", "stock": 10 * n} for n in range(3)]
        for missing in ("number", "shop", "tags"):
            with pytest.raises(AttributeError, match=missing):
                getattr(documents[0], missing)
    assert documents[0]._seen == 0


def test_defer_leaves_fields_out(store: Store, things: Any) -> None:
    found = store.do(shelf(things).defer("tags").defer("price").first())
    assert vars(found) == {"shop": "a", "shelf": 1, "number": 0, "name": "a10", "stock": 0}
    assert not hasattr(found, "tags")


def test_a_selection_holds_for_every_way_of_reading(store: Store, things: Any) -> None:
    found = shelf(things).only("number").fetch_size(2)
    expected = [{"number": 0}, {"number": 1}, {"number": 2}]
    assert [vars(d) for d in store.do(found.all())] == expected
    assert [vars(d) for d in store.listed(found)] == expected
    page = store.do(found.paged_all())
    assert [vars(d) for d in page.data] == expected[:2]
    assert vars(store.do(found.page(page.paging_state).first())) == expected[2]
    assert vars(store.do(found.first())) == expected[0]


def test_selected_fields_are_validated_and_nulls_shown_as_in_whole_documents(store: Store) -> None:
    thing = store.table(shelved(store))
    bare = thing.model_construct(shop="s", shelf=1, number=1, name="x", stock=0, tags=set(), price=None)
    store.do(bare.save())
    found = thing.find(shop="s", shelf=1)
    assert vars(store.do(found.only("tags", "price").first())) == {"tags": set(), "price": None}
    for selected in (found, found.only("name")):
        with pytest.raises(ValidationError, match="name"):
            store.do(selected.all())


def test_values_list_gives_tuples_in_the_order_asked_for(store: Store, things: Any) -> None:
    found = shelf(things)
    assert store.do(found.values_list("stock", "name").all()) == [(0, "a10"), (10, "a11"), (20, "a12")]
    assert store.do(found.values_list("tags", "price", "tags").all()) == [
        (set(), None, set()),
        ({"x", "y"}, Decimal("1.50"), {"x", "y"}),
        ({"x", "y"}, Decimal("1.50"), {"x", "y"}),
    ]
    assert store.do(found.values_list().first()) == ("a", 1, 0, "a10", 0, set(), None)
    assert store.do(found.only("name").values_list().first()) == ("a10",)
    assert store.listed(found.fetch_size(1).values_list("number")) == [(0,), (1,), (2,)]
    assert store.do(found.fetch_size(2).values_list("number").paged_all()).data == [(0,), (1,)]
    assert store.do(things.find(shop="z", shelf=1).values_list("number").first()) is None


def test_a_cast_is_the_databases_own(store: Store, things: Any) -> None:
    found = shelf(things).filter(number=2).cast("stock", "text")
    assert store.do(found.values_list("number", "stock").all()) == [(2, "20")]
    assert vars(store.do(found.only("stock", "name").first())) == {"stock": "20", "name": "a12"}
    assert store.do(found.first()).stock == "20"
    assert store.do(found.first()).name == "a12"
    assert store.do(found.cast("stock", "double").values_list("stock").first()) == (20.0,)
    assert store.do(found.cast("stock", "decimal").values_list("stock").first()) == (Decimal(20),)
    for kind in ("timestamp", "date"):  # Cassandra takes the second: nobody means milliseconds by it
        with pytest.raises(InvalidQueryError, match="Cannot cast 'stock'"):
            found.cast("stock", kind)


def test_a_moment_is_cast_to_its_milliseconds(store: Store) -> None:
    class Event(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        id: Annotated[int, PrimaryKey()]
        at: datetime

        class Settings:
            name = fresh("events")

    store.table(Event)
    for number, at in enumerate(
        (datetime(2024, 5, 1, 12, 0, 0, 7_000, UTC), datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC))
    ):
        store.do(Event(id=number, at=at).save())
        for kind in ("bigint", "varint"):
            read = store.do(Event.find(id=number).cast("at", kind).values_list("at").first())
            assert read == ((1_714_564_800_007, -1_000)[number],)


# --- partitions, groups, tokens -----------------------------------------------------------------------------------


def test_distinct_gives_one_row_for_each_partition(store: Store, things: Any) -> None:
    partitions = [("a", 1), ("a", 2), ("b", 1)]
    found = things.find().distinct()
    assert sorted((d.shop, d.shelf) for d in store.do(found.all())) == partitions
    assert vars(store.do(found.limit(1).all())[0]).keys() == {"shop", "shelf"}
    assert sorted(store.do(found.values_list("shop", "shelf").all())) == partitions
    assert sorted(store.do(found.values_list().all())) == partitions
    assert sorted(store.do(found.values_list("shelf").all())) == [(1,), (1,), (2,)]
    assert store.do(found.count()) == len(store.listed(found.fetch_size(1))) == 3
    assert store.do(found.limit(2).count()) == 2


def test_a_partition_has_one_value_of_a_static_column(store: Store) -> None:
    class Sign(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        street: Annotated[str, PrimaryKey()]
        number: Annotated[int, ClusteringKey()]
        town: Annotated[str, Static()] = ""

        class Settings:
            name = fresh("signs")

    if not store.is_cassandra:
        with pytest.raises(InvalidQueryError, match="SQLite store has no static columns"):
            store.table(Sign)
        return
    store.table(Sign)
    for street, number in (("elm", 1), ("elm", 2), ("oak", 1)):
        store.do(Sign(street=street, number=number, town=f"{street}ville").save())
    assert sorted(store.do(Sign.find().distinct().values_list("town").all())) == [("elmville",), ("oakville",)]
    (found,) = store.do(Sign.find(street="elm").distinct().only("town").all())
    assert vars(found) == {"town": "elmville"}
    assert [d.town for d in store.do(Sign.find(street="elm").all())] == ["elmville", "elmville"]
    for number in range(6):  # partitions of a static value alone, which are no rows
        store.do(Sign(street=f"gone{number}", number=number, town="x").save())
        store.do(Sign.find(street=f"gone{number}", number=number).delete())
    assert len(store.do(Sign.find().all())) == len(store.listed(Sign.find().fetch_size(1))) == 3
    assert len(store.do(Sign.find().fetch_size(1).limit(2).all())) == store.do(Sign.find().limit(2).count()) == 2
    assert store.do(Sign.find().fetch_size(1).first()).number == 1
    assert store.do(Sign.find(street="gone1").first()) is None
    assert store.do(Sign.find_one(street="gone1")) is None
    assert store.do(Sign.find_one(street__in=["gone1", "gone2", "oak"])).street == "oak"
    assert store.do(Sign.find().count()) == store.do(Sign.find().aggregate(n="count(*)"))["n"] == 3
    assert store.do(Sign.find().per_partition_limit(1).count()) == 2
    towns = store.do(Sign.find().aggregate(n="count(town)", last="max(town)"))
    assert towns == {"n": 9, "last": "x"}  # the database's own: of 3 rows and 6 static values
    assert sorted(store.do(Sign.find().values_list("town").all())) == [("elmville",), ("elmville",), ("oakville",)]
    assert len(store.do(Sign.find().json())) == 3
    with pytest.raises(InvalidQueryError, match="take no limit"):
        store.do(Sign.find().limit(1).paged_all())


def test_a_limit_may_be_for_each_partition(store: Store, things: Any) -> None:
    found = things.find().per_partition_limit(2)
    assert sorted((d.shop, d.shelf, d.number) for d in store.do(found.all())) == [
        ("a", 1, 0), ("a", 1, 1), ("a", 2, 0), ("a", 2, 1), ("b", 1, 0), ("b", 1, 1),
    ]  # fmt: skip
    assert store.do(found.count()) == len(store.listed(found.fetch_size(4))) == 6
    assert len(store.do(found.limit(5).all())) == store.do(found.limit(5).count()) == 5
    assert [d.number for d in store.do(shelf(things).per_partition_limit(1).all())] == [0]
    assert [d.number for d in store.do(shelf(things).order_by("-number").per_partition_limit(1).all())] == [2]


def test_group_by_gives_the_first_row_of_each_group(store: Store, things: Any) -> None:
    found = things.find().group_by("shop", "shelf")
    assert sorted((d.shop, d.shelf, d.number, d.name) for d in store.do(found.all())) == [
        ("a", 1, 0, "a10"), ("a", 2, 0, "a20"), ("b", 1, 0, "b10"),
    ]  # fmt: skip
    assert store.do(found.count()) == len(store.listed(found.fetch_size(2))) == 3
    last = shelf(things).group_by("shop", "shelf").order_by("-number").values_list("number")
    assert store.do(last.all()) == [(2,)]


def test_tokens_are_read_and_compared(store: Store, things: Any) -> None:
    found = things.find().select_token("shop", "shelf")
    if not store.is_cassandra:
        with pytest.raises(InvalidQueryError, match="SQLite store has no token"):
            store.do(found.all())
        return
    (token,) = store.do(shelf(things).select_token("shop", "shelf").first())
    assert isinstance(token, int)
    assert store.do(shelf(things).values_list("number").select_token("shop", "shelf").all()) == [
        (0, token), (1, token), (2, token),
    ]  # fmt: skip
    distinct = store.do(found.values_list("shop", "shelf").distinct().all())
    assert {(shop, number) for shop, number, _ in distinct} == {("a", 1), ("a", 2), ("b", 1)}
    assert ("a", 1, token) in distinct


# --- JSON ---------------------------------------------------------------------------------------------------------


def test_json_gives_one_object_for_each_row(store: Store, things: Any) -> None:
    rows = [json.loads(text) for text in store.do(shelf(things).json())]
    assert [row["number"] for row in rows] == [0, 1, 2]
    assert rows[1]["tags"] == ["x", "y"]
    assert Decimal(str(rows[1]["price"])) == Decimal("1.50")
    assert rows[0]["price"] is None
    assert list(rows[0]) == ["shop", "shelf", "number", "name", "stock", "tags", "price"]
    assert store.do(shelf(things).only("name", "stock").json())[1] == '{"name": "a11", "stock": 10}'
    assert store.do(things.find(shop="z", shelf=1).json()) == []


# --- what does not go together ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda q: q.distinct().only("name"), "only its partition key and static columns, not name"),
        (lambda q: q.only("name").cast("stock", "text"), "cast.. of stock: not among the columns that are read"),
    ],
)
def test_what_does_not_go_together_is_refused_before_any_round_trip(
    store: Store, things: Any, build: Any, said: str
) -> None:
    found = build(things.find())
    for read in (found.all, found.first, found.paged_all, found.json, found.count):
        with pytest.raises(InvalidQueryError, match=said):
            store.do(read())


def test_json_is_of_columns_as_they_are_stored(store: Store, things: Any) -> None:
    for found in (things.find().cast("stock", "text"), things.find().select_token("shop", "shelf")):
        with pytest.raises(InvalidQueryError, match="json"):
            store.do(found.json())
