"""
The same mistake raises the same class on every driver and both faces, and never tells a value.

What a server answers to each kind of write, row by row, is in ``tests/faults/test_outcome_table.py``; missing rights
are in ``tests/faults/test_refusals.py``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest

from coodie import aio, drivers, sync
from coodie.exceptions import (
    ConfigurationError,
    CoodieError,
    DriverError,
    InvalidQueryError,
    MaybeApplied,
    NotApplied,
    Rejected,
    RowRejected,
    TableRejected,
)
from coodie.fields import ClusteringKey, Counter, PrimaryKey
from tests.contract.stores import Store, close_store, fresh, open_store
from tests.contract.watching import made

SECRET = "s3cr3t"
KEY = Annotated[str, PrimaryKey()]
NUMBER = Annotated[int, ClusteringKey()]


class Models(NamedTuple):
    """A table, what is wrongly believed of it, and a table that nobody made."""

    notes: Any
    wider: Any
    ghost: Any
    hits: Any
    store: Store

    def raw(self, text: str, *values: Any) -> Any:
        """Send a text; ``{notes}`` is the name of the table."""
        keyspace = self.store.driver._default_keyspace
        name = f"{keyspace}.{self.notes.table_name()}" if keyspace else self.notes.table_name()
        return self.store.face.execute_raw(text.format(notes=name), list(values))


@pytest.fixture
def models(store: Store) -> Models:
    """Give the models of a table that the tests share."""
    if "models" not in store.shared:
        columns = {"id": KEY, "n": NUMBER, "score": int, "title": str}
        defaults = {"n": 0, "score": 0, "title": ""}
        notes = store.table(made(store.face.Document, columns, **defaults))
        names = {"name": notes.table_name()}
        wider = made(store.face.Document, columns | {"extra": str}, names, **defaults, extra="")
        ghost = made(store.face.Document, {"id": KEY})
        hits = store.table(made(store.face.CounterDocument, {"url": KEY, "views": Annotated[int, Counter()]}))
        store.shared["models"] = Models(notes, wider, ghost, hits, store)
    found: Models = store.shared["models"]
    return found


MISTAKES: dict[str, tuple[Callable[[Models], Any], type[CoodieError]]] = {
    "missing table, read": (lambda m: m.ghost.find(id=SECRET).all(), TableRejected),
    "missing table, written": (lambda m: m.ghost(id=SECRET).save(), TableRejected),
    "missing table, text": (lambda m: m.raw("SELECT * FROM nowhere_at_all WHERE id = ?", SECRET), TableRejected),
    "missing table, dropped": (lambda m: m.raw("DROP TABLE nowhere_at_all"), TableRejected),
    "missing column, read": (lambda m: m.wider.find(id=SECRET).all(), TableRejected),
    "missing column, written": (lambda m: m.wider(id=SECRET).save(), TableRejected),
    "missing column, changed": (lambda m: m.wider(id=SECRET).update(extra=SECRET), TableRejected),
    "table made twice": (lambda m: m.raw("CREATE TABLE {notes} (id text PRIMARY KEY)"), TableRejected),
    "syntax": (lambda m: m.raw("SELEKT 1"), Rejected),
    "syntax, with values": (lambda m: m.raw("SELEKT ?", SECRET), Rejected),
    "too few values": (lambda m: m.raw("SELECT * FROM {notes} WHERE id = ? AND n = ?", SECRET), InvalidQueryError),
    "too many values": (lambda m: m.raw("SELECT * FROM {notes} WHERE id = ?", SECRET, 1), InvalidQueryError),
    "no values": (lambda m: m.raw("SELECT * FROM {notes} WHERE id = ?"), InvalidQueryError),
    "value of another type": (
        lambda m: m.raw("INSERT INTO {notes} (score, id, n) VALUES (?, ?, ?)", SECRET, "a", 0),
        RowRejected,
    ),
    "value of no type": (
        lambda m: m.raw("INSERT INTO {notes} (score, id, n) VALUES (?, ?, ?)", object(), "a", 0),
        RowRejected,
    ),
    "text without bytes": (lambda m: m.raw(f"SELECT '{SECRET}\ud800'"), InvalidQueryError),
    "field of another type": (lambda m: m.notes(id="a").update(score=SECRET), InvalidQueryError),
    "number too large": (lambda m: m.notes(id="a", score=2**40).save(), InvalidQueryError),
    "surrogate in a column": (lambda m: m.notes(id="a", title=f"{SECRET}\ud800").save(), InvalidQueryError),
    "surrogate in a key": (lambda m: m.notes(id=f"{SECRET}\ud800").save(), InvalidQueryError),
    "key too long": (lambda m: m.notes(id=SECRET * 20_000).save(), InvalidQueryError),
    "empty key": (lambda m: m.ghost(id="").save(), InvalidQueryError),
    "filter of another type": (lambda m: m.notes.find(n=SECRET).all(), InvalidQueryError),
    "filter too large": (lambda m: m.notes.find(id=SECRET, n=2**40).all(), InvalidQueryError),
    "unknown field": (lambda m: m.notes.find(likes=SECRET).all(), InvalidQueryError),
    "unknown consistency": (lambda m: m.notes(id=SECRET).save(consistency="MOST"), InvalidQueryError),
    "counter too large": (lambda m: m.hits(url=SECRET).increment(views=2**63), InvalidQueryError),
    "torn page state": (lambda m: m.notes.find().fetch_size(2).page(b"torn").all(), InvalidQueryError),
}


def leaf_of(error: BaseException) -> type[CoodieError]:
    """Return the class of ours that an error is of, whatever client's class it is as well."""
    return next(kind for kind in type(error).__mro__ if kind in LEAVES)


LEAVES = (ConfigurationError, InvalidQueryError, NotApplied, MaybeApplied, RowRejected, TableRejected, Rejected)


def no_secret_in(error: BaseException, records: list[logging.LogRecord]) -> None:
    """Check that no value stands in the error's text nor in any record."""
    assert SECRET not in str(error)
    assert SECRET not in str(getattr(error, "statement", ""))
    assert not [record for record in records if SECRET in record.getMessage()]


@pytest.mark.parametrize(("call", "expected"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_has_one_class_and_tells_no_value(
    store: Store, models: Models, call: Callable[[Models], Any], expected: type[CoodieError], caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(CoodieError) as caught:
        store.do(call(models))
    error = caught.value
    assert leaf_of(error) is expected
    no_secret_in(error, caplog.records)
    if isinstance(error, DriverError):
        assert error.statement
    if error.__cause__ is not None and expected is TableRejected:
        assert isinstance(error, type(error.__cause__))  # an `except` clause written for the client still holds


@pytest.mark.parametrize("row", ['{{"id": "s3cr3t", ', '{{"id": "a", "n": "s3cr3t"}}', '{{"id": ["s3cr3t"], "n": 1}}'])
def test_what_a_server_quotes_from_a_row_of_json_is_not_told(
    store: Store, models: Models, row: str, caplog: Any
) -> None:
    if not store.is_cassandra:
        pytest.skip("JSON is taken apart by the server")
    caplog.set_level(logging.DEBUG)
    with pytest.raises(RowRejected, match=r"JSON") as caught:
        store.do(models.raw("INSERT INTO {notes} JSON ?", row.format()))
    no_secret_in(caught.value, caplog.records)


# --- what the cluster cannot do now -------------------------------------------------------------------------------


def test_too_few_replicas(store: Store, models: Models) -> None:
    if not store.is_cassandra:
        assert store.do(models.notes.find(id="a").consistency("THREE").all()) == []  # one file is the whole cluster
        return
    with pytest.raises(NotApplied) as caught:
        store.do(models.notes.find(id="a").consistency("THREE").all())
    assert caught.value.statement.startswith('SELECT "id"')
    if store.kind == "cassandra":
        assert caught.value.host == f"{store.options['hosts'][0]}:{store.options['port']}"
    with pytest.raises(MaybeApplied):  # may be sent twice, and may have been
        store.do(models.notes(id="a").save(consistency="THREE"))


def test_a_conditional_write_that_finds_too_few_replicas_may_be_applied(store: Store, models: Models) -> None:
    """It is agreed upon first; its commit asks for the level, and what was agreed upon the next SERIAL read commits."""
    if not store.is_cassandra:
        pytest.skip("one file is the whole cluster")
    key = fresh("agreed")
    with pytest.raises(MaybeApplied):
        store.do(models.notes(id=key).insert(consistency="THREE"))
    assert store.do(models.notes.find(id=key).consistency("SERIAL").count()) == 1
    with pytest.raises(MaybeApplied):
        store.do(models.notes.find(id=key, n=0).consistency("THREE").if_exists().update(title="t"))
    assert store.do(models.notes.find(id=key).consistency("SERIAL").first()).title == "t"


def test_a_level_that_no_write_has(store: Store, models: Models) -> None:
    if not store.is_cassandra:
        pytest.skip("one file has no levels")
    for write in (models.notes(id="a").save, models.notes(id="a").insert):
        with pytest.raises(RowRejected):
            store.do(write(consistency="SERIAL"))


def test_an_answer_that_does_not_come_in_time(store: Store, models: Models) -> None:
    """On a server the client gives up; on SQLite the time for other writers is over."""
    if store.is_cassandra:
        with pytest.raises(NotApplied) as caught:
            for _ in range(200):  # acsylla waits for at least a ms, in which a server may answer
                store.do(models.notes.find().timeout(1e-6).all())
        assert caught.value.statement
        with pytest.raises(MaybeApplied) as caught_write:
            for _ in range(200):
                store.do(models.notes(id=SECRET, title=SECRET).save(timeout=1e-6))
        assert isinstance(caught_write.value, type(caught_write.value.__cause__))
        no_secret_in(caught_write.value, [])
        return
    with ThreadPoolExecutor(1) as other, store.driver._pool.writing(), pytest.raises(NotApplied):
        other.submit(lambda: store.do(models.notes(id="a").save(timeout=0.01))).result()


# --- connections --------------------------------------------------------------------------------------------------


CLOSED: dict[str, Callable[[Models], Any]] = {
    "read": lambda m: m.notes.find().all(),
    "count": lambda m: m.notes.find().count(),
    "write": lambda m: m.notes(id="a").save(),
    "increment": lambda m: m.hits(url="a").increment(views=1),
    "table": lambda m: m.notes.sync_table(dry_run=True),
    "text": lambda m: m.raw("SELECT 1"),
}


def test_a_closed_connection_says_so(store: Store, models: Models, tmp_path: Path) -> None:
    options = store.options if store.is_cassandra else {"database": str(tmp_path / "closed.db")}
    other = open_store(store.kind, "sync" if store.face is sync else "aio", options)
    before = dict(drivers._registry)
    close_store(other)
    drivers.register_driver("default", other.driver, default=True)
    try:
        for call in CLOSED.values():
            with pytest.raises(ConfigurationError, match=r"closed.*init_coodie\(\)"):
                store.do(call(models._replace(store=other)))
        with pytest.raises(ConfigurationError, match="closed"):
            other.driver.execute("SELECT 1", [])
    finally:
        drivers._registry.update(before)
        drivers.register_driver("default", store.driver, default=True)


@pytest.mark.parametrize("kind", ["cassandra", "acsylla"])
@pytest.mark.parametrize("face", ["sync", "aio"])
def test_a_host_that_is_not_there_is_named(kind: str, face: str) -> None:
    options: dict[str, Any] = {"hosts": ["127.0.0.1"], "port": 1, "driver_type": kind}
    with pytest.raises(ConfigurationError, match=r"Cannot connect to Cassandra at 127\.0\.0\.1:1") as caught:
        sync.init_coodie(**options) if face == "sync" else asyncio.run(aio.init_coodie(**options))
    assert caught.value.__cause__ is not None


def test_a_cancelled_call_raises_what_asyncio_raises(store: Store, models: Models) -> None:
    async def cancelled() -> None:
        task = asyncio.ensure_future(models.notes.find().all())
        await asyncio.sleep(0)
        task.cancel()
        await task

    if store.face is sync:
        pytest.skip("nothing to cancel")
    with pytest.raises(asyncio.CancelledError):
        store.do(cancelled())
    assert store.do(models.notes.find(id="none").all()) == []
