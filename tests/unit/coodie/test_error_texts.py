"""The texts that the API page promises, word for word, and who is a subclass of whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import pytest

import aggregator
from coodie import aio, drivers, exceptions, sync
from coodie.drivers import registry
from coodie.exceptions import (
    ConfigurationError,
    CoodieError,
    DocumentNotFound,
    InvalidQueryError,
    MultipleDocumentsFound,
)
from coodie.fields import Counter, PrimaryKey
from coodie.testing import ScriptedDriver

KEY = Annotated[str, PrimaryKey()]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "_registry", registry.Registry())
    monkeypatch.setattr(drivers, "_default_driver_name", None)
    for name in ("HOSTS", "PORT", "KEYSPACE", "DRIVER", "DATABASE"):
        monkeypatch.delenv(f"COODIE_{name}", raising=False)


class Hits(sync.CounterDocument):
    url: KEY
    views: Annotated[int, Counter()]


class Note(sync.Document):
    id: KEY
    title: str = ""


def scripted(*answers: list[dict[str, Any]], keyspace: str | None = "ks") -> None:
    drivers.register_driver("default", ScriptedDriver(answers, keyspace), default=True)


def defined(annotation: Any, base: Any = sync.Document) -> Any:
    """Return a class with a column of a type that may have no counterpart."""
    metaclass: Any = type(base)
    body = {"__annotations__": {"id": KEY, "value": annotation}, "__module__": __name__, "__qualname__": "Odd"}
    return metaclass("Odd", (base,), body)


def no_key() -> None:
    class Keyless(sync.Document):
        title: str

    scripted()
    Keyless.sync_table()


def data_beside_counters() -> None:
    class Wrong(sync.CounterDocument):
        url: KEY
        a: str
        views: Annotated[int, Counter()]
        b: str


def refused(method: str) -> str:
    return f"Counter tables do not support {method}(). Use increment() or decrement() instead."


def found(*rows: dict[str, Any]) -> Callable[[], Any]:
    """Return a get() that finds rows in a table of counters."""

    def get() -> Any:
        scripted(list(rows))
        return Hits.get(url="/none")

    return get


def nobody_at_home() -> None:
    scripted(keyspace=None)
    Note.find().all()


NULLS = (
    "Cannot filter on 'title' with IS [NOT] NULL: CQL only allows IS NOT NULL in materialized view definitions, and IS "
    "NULL is not valid CQL."
)
ROW = {"url": "/none", "views": 1}
TEXTS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "save": (lambda: Hits(url="/").save(), InvalidQueryError, refused("save")),
    "insert": (lambda: Hits(url="/").insert(), InvalidQueryError, refused("insert")),
    "create": (lambda: Hits.create(url="/"), InvalidQueryError, refused("save")),
    "create of a queryset": (lambda: Hits.find().create(url="/"), InvalidQueryError, refused("save")),
    "data columns": (
        data_beside_counters,
        InvalidQueryError,
        "Counter tables can only have counter and primary key columns. Non-counter data columns found: a, b",
    ),
    "none found": (found(), DocumentNotFound, "No Hits found matching {'url': '/none'}"),
    "two found": (
        found(ROW, ROW),
        MultipleDocumentsFound,
        "Expected one Hits but found multiple matching {'url': '/none'}",
    ),
    "is_null": (lambda: Note.find().is_null("title"), InvalidQueryError, NULLS),
    "is_not_null": (lambda: Note.find().is_not_null("title"), InvalidQueryError, NULLS),
    "isnull": (lambda: Note.find(title__isnull=True), InvalidQueryError, NULLS),
    "is_null awaited": (lambda: aio.QuerySet(Note).is_null("title"), InvalidQueryError, NULLS),
}
BEGINNINGS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no driver": (
        lambda: Note.find().all(),
        ConfigurationError,
        "No coodie driver registered. Call init_coodie() first.",
    ),
    "unknown connection": (
        lambda: drivers.get_driver("zz"),
        ConfigurationError,
        "No coodie driver registered. Call init_coodie() first.",
    ),
    "no keyspace": (nobody_at_home, InvalidQueryError, "No keyspace configured"),
    "driver_type": (
        lambda: sync.init_coodie(driver_type="zz"),
        ConfigurationError,
        "Unknown driver_type='zz'. Supported: 'scylla', 'cassandra', 'acsylla', 'sqlite'",
    ),
    "acsylla": (lambda: sync.init_coodie(driver_type="acsylla"), ConfigurationError, "AcsyllaDriver requires"),
    "no key": (no_key, ValueError, "Table keyless has no primary key columns"),
}


@pytest.mark.parametrize(("call", "kind", "text"), TEXTS.values(), ids=list(TEXTS))
def test_texts_are_word_for_word(call: Callable[[], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text
    assert isinstance(caught.value, CoodieError)


@pytest.mark.parametrize(("call", "kind", "text"), BEGINNINGS.values(), ids=list(BEGINNINGS))
def test_texts_begin_as_promised(call: Callable[[], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(text)
    assert isinstance(caught.value, CoodieError)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (object, "Cannot map Python type <class 'object'> to a CQL type"),
        (int | str, "Cannot map Union type int | str to CQL"),
        (complex, "Cannot map Python type <class 'complex'> to a CQL type"),
    ],
)
def test_a_type_without_a_counterpart_is_named(annotation: Any, text: str) -> None:
    scripted()
    with pytest.raises(InvalidQueryError) as caught:
        defined(annotation).sync_table()
    assert text in str(caught.value)


def test_what_the_aio_face_refuses_at_the_call_need_not_be_awaited() -> None:
    class Awaited(aio.CounterDocument):
        url: KEY
        views: Annotated[int, Counter()]

    with pytest.raises(ConfigurationError, match="No coodie driver registered"):
        asyncio.run(Awaited.get(url="/"))
    scripted()
    with pytest.raises(InvalidQueryError, match="Counter tables do not support save"):
        Awaited(url="/").save()
    with pytest.raises(InvalidQueryError, match="'views'"):
        Awaited(url="/").increment(views=True)


def test_the_family_is_as_it_is_drawn() -> None:
    direct = {ConfigurationError, InvalidQueryError, DocumentNotFound, MultipleDocumentsFound}
    direct |= {exceptions.MigrationError, exceptions.DriverError}
    assert {*CoodieError.__subclasses__()} >= direct
    assert issubclass(InvalidQueryError, ValueError)
    assert issubclass(exceptions.RowRejected, exceptions.Rejected)
    assert issubclass(exceptions.TableRejected, exceptions.Rejected)
    for kind in (exceptions.NotApplied, exceptions.MaybeApplied, exceptions.Rejected):
        assert kind.__bases__ == (exceptions.DriverError,)
    assert aggregator.ConfigurationError is ConfigurationError
