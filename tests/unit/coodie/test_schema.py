"""From a class to its table, and the classes that cannot be one."""

from __future__ import annotations

import enum
from datetime import date, datetime, time
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Annotated, Any, Optional
from uuid import UUID

import pytest
from pydantic import create_model

from coodie import aio, sync
from coodie.exceptions import ConfigurationError, InvalidQueryError
from coodie.fields import (
    Ascii,
    BigInt,
    ClusteringKey,
    Counter,
    Double,
    Frozen,
    Indexed,
    PrimaryKey,
    SmallInt,
    Static,
    TimeUUID,
    TinyInt,
    VarInt,
)
from coodie.plans import counters
from coodie.schema import snake_case, table_of
from tests.unit.coodie.models import DailyHits, PageHits, Post

FACES = pytest.mark.parametrize("face", [sync, aio], ids=["sync", "aio"])
URL = Annotated[str, PrimaryKey()]
VIEWS = Annotated[int, Counter()]


def make(base: type[Any], annotations: dict[str, Any], **body: Any) -> Any:
    """Make a model class as a class statement would."""
    metaclass: Any = type(base)
    return metaclass(
        "Made", (base,), {"__annotations__": annotations, "__module__": __name__, "__qualname__": "Made", **body}
    )


def settings(**values: Any) -> type[Any]:
    return type("Settings", (), {"__module__": __name__, "__qualname__": "Made.Settings", **values})


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str, "text"),
        (int, "int"),
        (float, "float"),
        (bool, "boolean"),
        (bytes, "blob"),
        (UUID, "uuid"),
        (datetime, "timestamp"),
        (date, "date"),
        (time, "time"),
        (Decimal, "decimal"),
        (IPv4Address, "inet"),
        (Optional[int], "int"),  # noqa: UP045 - the old spelling must work
        (int | None, "int"),
        (list[int], "list<int>"),
        (set[UUID], "set<uuid>"),
        (dict[str, int], "map<text, int>"),
        (tuple[int, str], "tuple<int, text>"),
        (frozenset[str], "frozen<set<text>>"),
        (list[list[int]], "list<frozen<list<int>>>"),
        (list[Annotated[int, BigInt()]], "list<bigint>"),
        (Annotated[list[int], Frozen()], "frozen<list<int>>"),
        (Annotated[int, BigInt()], "bigint"),
        (Annotated[int, SmallInt()], "smallint"),
        (Annotated[int, TinyInt()], "tinyint"),
        (Annotated[int, VarInt()], "varint"),
        (Annotated[float, Double()], "double"),
        (Annotated[str, Ascii()], "ascii"),
        (Annotated[UUID, TimeUUID()], "timeuuid"),
        (Annotated[int | None, BigInt()], "bigint"),
        (Optional[Annotated[int, BigInt()]], "bigint"),  # noqa: UP045 - a marker inside the Optional
        (enum.Enum("Colour", {"RED": "r"}), "text"),
        (enum.IntEnum("Weight", {"HEAVY": 5}), "int"),
    ],
)
def test_python_types_become_cql_types(annotation: Any, expected: str) -> None:
    made = make(sync.Document, {"id": URL, "value": annotation})
    assert table_of(made).by_name["value"].cql_type == expected


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (object, "Cannot map Python type <class 'object'> to a CQL type"),
        (list, "Cannot map Python type"),
        (tuple[int, ...], "Cannot map Python type"),
        (enum.Enum("Mixed", {"A": 1, "B": "b"}), "Cannot map Python type"),
        (int | str, "Cannot map Union type .* to CQL"),
    ],
)
def test_types_without_a_cql_counterpart_are_refused_by_field(annotation: Any, said: str) -> None:
    made = make(sync.Document, {"id": URL, "value": annotation})
    with pytest.raises(InvalidQueryError, match=said + r".*field 'value' of Made"):
        table_of(made)


def test_keys_are_ordered_by_index_and_columns_as_the_class_has_them() -> None:
    table = table_of(DailyHits)
    assert [column.name for column in table.columns] == ["site", "section", "day", "hits"]
    assert [column.name for column in table.partition_key] == ["site", "section"]
    assert [column.name for column in table.primary_key] == ["site", "section", "day"]
    assert table.by_name["day"].descending
    assert table.counters == "native"


def test_a_plain_table_knows_its_indexes_statics_and_optionals() -> None:
    table = table_of(Post)
    assert table.counters is None
    assert table.by_name["title"].index == "posts_title_idx"
    assert table.by_name["price"].optional
    assert table.by_name["price"].annotation is Decimal


def test_a_column_may_be_static() -> None:
    annotations = {"id": URL, "n": Annotated[int, ClusteringKey()], "motto": Annotated[str | None, Static()]}
    assert table_of(make(sync.Document, annotations)).by_name["motto"].static


def test_a_table_is_built_once_per_class_and_not_inherited() -> None:
    class Extended(PageHits):
        likes: Annotated[int, Counter()]

    assert table_of(PageHits) is table_of(PageHits)
    assert "likes" in table_of(Extended).by_name
    assert "likes" not in table_of(PageHits).by_name
    assert table_of(Extended).name == "page_hits"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("BlogPost", "blog_post"), ("HTTPRequest", "http_request"), ("Hits", "hits"), ("Page2Hits", "page2_hits")],
)
def test_a_table_without_a_name_is_called_as_its_class(name: str, expected: str) -> None:
    assert snake_case(name) == expected


@pytest.mark.parametrize("name", ["t" * 48, '"' + "T" * 48 + '"', "_2024", "2024_hits", "Table"])
def test_names_that_cassandra_takes_are_kept(name: str) -> None:
    assert table_of(make(sync.Document, {"id": URL}, Settings=settings(name=name))).name == name


@pytest.mark.parametrize(
    "name", ["t" * 49, '"' + "t" * 49 + '"', "page-hits", '"page hits"', "ks.t", 't"t', '""', '"t', "größe", "t\n", 5]
)
def test_names_that_cassandra_refuses_are_refused_with_the_limit(name: Any) -> None:
    made = make(sync.Document, {"id": URL}, Settings=settings(name=name))
    with pytest.raises(InvalidQueryError, match=r"not a valid table name for Made.*\[a-zA-Z0-9_\]\{1,48\}"):
        table_of(made)


def test_a_class_whose_own_name_is_too_long_needs_a_name_in_its_settings() -> None:
    long = create_model("Hits" * 13, __base__=sync.Document, id=(URL, ...))
    with pytest.raises(InvalidQueryError, match=r"at most 48.*Set Settings\.name"):
        table_of(long)


def test_settings_reach_the_table() -> None:
    made = make(
        sync.Document,
        {"id": URL},
        Settings=settings(name="t", keyspace="ks", __default_ttl__=60, __options__={"comment": "c"}),
    )
    table = table_of(made)
    assert (table.full_name, table.default_ttl, table.options) == ("ks.t", 60, (("comment", "c"),))


def test_a_table_needs_a_primary_key() -> None:
    with pytest.raises(ValueError, match=r"Table made has no primary key columns"):
        table_of(make(sync.Document, {"id": str}))


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        (Annotated[list[int], ClusteringKey()], "'value'.*must be Frozen"),
        (Annotated[int, ClusteringKey(), PrimaryKey()], "cannot be both"),
        (Annotated[int, ClusteringKey(order="UP")], "order 'UP'; allowed: 'ASC', 'DESC'"),
        (Annotated[int, Counter()], r"counter columns \(value\): derive it from CounterDocument"),
    ],
)
def test_impossible_columns_of_plain_tables_are_refused_at_first_use(annotation: Any, said: str) -> None:
    made = make(sync.Document, {"id": URL, "value": annotation})
    with pytest.raises(InvalidQueryError, match=said):
        table_of(made)


# --- counter tables: refused when the class is made --------------------------------------------------------------


@FACES
def test_a_data_column_is_refused_when_the_class_is_made(face: Any) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        make(face.CounterDocument, {"url": URL, "a": str, "views": VIEWS, "b": int})
    assert str(caught.value) == (
        "Counter tables can only have counter and primary key columns. Non-counter data columns found: a, b"
    )


@FACES
@pytest.mark.parametrize(
    ("annotations", "body", "said"),
    [
        ({"url": URL, "views": Annotated[float, Counter()]}, {}, "'views' cannot be of type float"),
        ({"url": URL, "views": Annotated[bool, Counter()]}, {}, "'views' cannot be of type bool"),
        ({"url": URL, "views": Annotated[int, Counter(), Indexed()]}, {}, "'views' cannot be indexed"),
        ({"url": URL, "views": Annotated[int, Counter(), Static()]}, {}, "'views' cannot be static"),
        ({"url": Annotated[int, Counter(), PrimaryKey()], "v": VIEWS}, {}, "'url' cannot be part of the primary key"),
        ({"url": URL, "n": Annotated[int, Counter(), ClusteringKey()]}, {}, "'n' cannot be part of the primary key"),
        ({"url": URL, "class": VIEWS}, {}, "'class' cannot have a Python keyword as its name"),
        ({"url": URL, "None": VIEWS}, {}, "'None' cannot have a Python keyword as its name"),
        ({"url": URL, "page views": VIEWS}, {}, "'page views' cannot have a name that is no Python identifier"),
        ({"url": URL, "views": VIEWS}, {"Settings": settings(name="t" * 49)}, "not a valid table name"),
        ({"url": URL}, {}, "made has no counter column"),
        ({"views": VIEWS}, {}, "no primary key columns"),
        ({"url": URL, "views": VIEWS}, {"Settings": settings(__default_ttl__=60)}, "cannot have a TTL"),
        (
            {"url": URL, "views": VIEWS},
            {"Settings": settings(__options__={"default_time_to_live": 60})},
            "cannot have a TTL",
        ),
        ({"url": URL, "views": VIEWS}, {"Settings": settings(counters="some")}, "'some'; allowed: 'native', 'exact'"),
    ],
)
def test_what_a_counter_table_forbids_is_refused_when_the_class_is_made(
    face: Any, annotations: dict[str, Any], body: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidQueryError, match=said):
        make(face.CounterDocument, annotations, **body)


@FACES
def test_counters_may_be_named_as_builtins_and_keys_as_keywords(face: Any) -> None:
    made = make(face.CounterDocument, {"class": URL, "KeyError": VIEWS, "match": VIEWS})
    assert [column.name for column in table_of(made).columns] == ["class", "KeyError", "match"]


@FACES
def test_abstract_bases_are_not_judged(face: Any) -> None:
    base = make(face.CounterDocument, {"url": URL}, Settings=settings(__abstract__=True, keyspace="web"))
    mixin = make(face.CounterDocument, {}, describe=lambda self: "a method and no field")
    assert table_of(make(base, {"views": VIEWS})).keyspace == "web"
    assert table_of(make(mixin, {"url": URL, "views": VIEWS})).name == "made"


@FACES
def test_a_child_of_an_abstract_base_is_judged(face: Any) -> None:
    base = make(face.CounterDocument, {"url": URL}, Settings=settings(__abstract__=True))
    with pytest.raises(InvalidQueryError, match=r"has no counter column"):
        make(base, {})


def test_an_exact_table_is_changed_through_an_aggregator_alone() -> None:
    made = make(sync.CounterDocument, {"url": URL, "views": VIEWS}, Settings=settings(counters="exact"))
    assert table_of(made).counters == "exact"
    with pytest.raises(ConfigurationError, match=r"'exact': its counters need a started Aggregator; nothing was"):
        counters.increment(made(url="/"), table_of(made), {"views": 1})


# --- exact tables ------------------------------------------------------------------------------------------------


def test_an_exact_table_is_stored_with_its_writers_as_the_last_clustering_column() -> None:
    fields = {"views": VIEWS, "day": Annotated[int, ClusteringKey(order="DESC", clustering_key_index=4)], "url": URL}
    table = table_of(make(sync.CounterDocument, fields, Settings=settings(counters="exact"))).qualified("web")
    stored = table.stored
    assert [(c.name, c.cql_type, c.counter) for c in stored.columns] == [
        ("url", "text", False),
        ("day", "int", False),
        ("writer", "text", False),
        ("views", "bigint", False),
    ]
    assert [(c.name, c.descending) for c in stored.clustering] == [("day", True), ("writer", False)]
    assert (stored.full_name, stored.counters, stored.per_writer) == ("web.made", None, True)
    assert table.stored is stored
    assert stored.stored is stored


def test_any_other_table_is_stored_as_it_is() -> None:
    table = table_of(make(sync.CounterDocument, {"url": URL, "views": VIEWS}))
    assert table.stored is table
    assert not table.per_writer


def test_the_options_of_an_exact_table_give_way_to_those_of_its_class() -> None:
    options = settings(counters="exact", __options__={"gc_grace_seconds": 60, "comment": "x"})
    stored = table_of(make(sync.CounterDocument, {"url": URL, "views": VIEWS}, Settings=options)).stored
    assert dict(stored.options) == {
        "compaction": {"class": "LeveledCompactionStrategy"},
        "gc_grace_seconds": 60,
        "default_time_to_live": 0,
        "comment": "x",
    }


@FACES
@pytest.mark.parametrize("name", ["writer", "Writer"])
def test_a_field_named_as_the_column_of_writers_is_refused(face: Any, name: str) -> None:
    key, fields = Annotated[str, ClusteringKey()], {"url": URL, "views": VIEWS}
    with pytest.raises(InvalidQueryError, match=rf"adds a key column 'writer' .* rename the field '{name}'"):
        make(face.CounterDocument, {**fields, name: key}, Settings=settings(counters="exact"))
    assert name in table_of(make(face.CounterDocument, {**fields, name: key})).by_name


@FACES
@pytest.mark.parametrize("more", [{"__default_ttl__": 60}, {"__options__": {"default_time_to_live": 0}}])
def test_a_ttl_on_an_exact_table_is_refused(face: Any, more: dict[str, Any]) -> None:
    with pytest.raises(InvalidQueryError, match=r"cannot have a TTL"):
        make(face.CounterDocument, {"url": URL, "views": VIEWS}, Settings=settings(counters="exact", **more))


# --- names that are not there yet --------------------------------------------------------------------------------


def test_names_of_an_enclosing_function_are_resolved() -> None:
    local = UUID

    class Visit(sync.CounterDocument):
        id: Annotated[local, PrimaryKey()]  # type: ignore[valid-type]  # a local name is the case
        times: Annotated[int, Counter()]

    assert table_of(Visit).by_name["id"].cql_type == "uuid"


def test_a_name_that_does_not_exist_is_a_clear_error() -> None:
    made = make(sync.CounterDocument, {"id": "Annotated[Nowhere, PrimaryKey()]", "times": VIEWS})
    with pytest.raises(InvalidQueryError, match=r"Cannot resolve the annotations of Made.*Nowhere"):
        table_of(made)


def test_a_name_defined_later_is_found_at_first_use() -> None:
    class Late(sync.CounterDocument):
        id: Annotated[Afterwards, PrimaryKey()]
        times: Annotated[int, Counter()]

    Afterwards = UUID  # noqa: N806 - the name of a class

    globals()["Afterwards"] = Afterwards
    try:
        assert table_of(Late).by_name["id"].cql_type == "uuid"
    finally:
        del globals()["Afterwards"]
