"""TTL and timestamps on every store: what has a TTL ends and says how long is left; timestamps, or their refusal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import pytest

from coodie.exceptions import InvalidQueryError
from coodie.fields import ClusteringKey, PrimaryKey
from tests.contract.stores import Store, fresh

TTL = 600
LONG_AGO = 1_000_000_000_000_000


def notes(store: Store, ttl: int | None = None) -> Any:
    """Return a model, its table's TTL as given."""

    class Note(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        author: Annotated[str, PrimaryKey()]
        number: Annotated[int, ClusteringKey()]
        title: str | None = None
        score: int | None = None
        tags: set[str] = set()

        class Settings:
            name = fresh("notes")
            __default_ttl__ = ttl

    return Note


@pytest.fixture
def note(store: Store) -> Any:
    """Give a model whose table has no TTL of its own."""
    return store.once("notes", notes)


@pytest.fixture
def short(store: Store) -> Any:
    """Give a model whose table has a TTL of its own."""
    return store.once("short notes", lambda store: notes(store, TTL))


@pytest.fixture
def ann() -> str:
    """Give a partition of the test's own."""
    return fresh("ann")


def left(store: Store, rows: Any, column: str = "title") -> str | int | None:
    """Return "some" where the first row's column has at most ``TTL`` s left, else what ``column_ttl`` says."""
    found: int | None = store.do(rows.column_ttl(column))
    return "some" if found is not None and TTL - 60 <= found <= TTL else found


WRITES: dict[str, Callable[[Store, Any, str], Any]] = {
    "save": lambda store, note, ann: note(author=ann, number=1, title="x").save(ttl=TTL),
    "insert": lambda store, note, ann: note(author=ann, number=1, title="x").insert(ttl=TTL),
    "save_json": lambda store, note, ann: note(author=ann, number=1, title="x").save_json(ttl=TTL),
    "update": lambda store, note, ann: note(author=ann, number=1).update(title="x", ttl=TTL),
    "rows update": lambda store, note, ann: note.find(author=ann, number=1).update(title="x", ttl=TTL),
    "rows ttl update": lambda store, note, ann: note.find(author=ann, number=1).ttl(TTL).update(title="x"),
    "rows ttl create": lambda store, note, ann: note.find().ttl(TTL).create(author=ann, number=1, title="x"),
    "conditional": lambda store, note, ann: note(author=ann, number=1).update(
        title="x", ttl=TTL, if_conditions={"title": None}
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
def test_what_is_written_with_a_ttl_says_how_long_it_has_left(
    store: Store, note: Any, ann: str, write: Callable[[Store, Any, str], Any]
) -> None:
    store.do(write(store, note, ann))
    assert [read.title for read in store.listed(note.find(author=ann))] == ["x"]
    assert left(store, note.find(author=ann)) == "some"
    assert left(store, note.find(author=ann), "score") is None


def test_without_a_ttl_nothing_ends(store: Store, note: Any, ann: str) -> None:
    assert left(store, note.find(author=ann)) is None
    store.do(note(author=ann, number=1, title="x").save())
    assert left(store, note.find(author=ann)) is None
    store.do(note(author=ann, number=1, title="x").save(ttl=0))
    assert left(store, note.find(author=ann)) is None


def test_saving_again_without_a_ttl_takes_it_off(store: Store, note: Any, ann: str) -> None:
    store.do(note(author=ann, number=1, title="x", score=1).save(ttl=TTL))
    store.do(note(author=ann, number=1).update(title="y"))
    assert (left(store, note.find(author=ann)), left(store, note.find(author=ann), "score")) == (None, "some")
    store.do(note(author=ann, number=1, title="z", score=2).save())
    assert (left(store, note.find(author=ann)), left(store, note.find(author=ann), "score")) == (None, None)


def test_each_column_has_the_ttl_it_was_written_with(store: Store, note: Any, ann: str) -> None:
    one = store.do(note.create(author=ann, number=1, title="x", score=1))
    store.do(one.update(title="y", ttl=TTL))
    assert (left(store, note.find(author=ann)), left(store, note.find(author=ann), "score")) == ("some", None)
    store.do(one.update(title=None, score=2, ttl=TTL))
    assert (left(store, note.find(author=ann)), left(store, note.find(author=ann), "score")) == (None, "some")


def test_the_ttl_of_a_table_is_what_a_write_has_that_names_none(store: Store, short: Any, ann: str) -> None:
    store.do(short.create(author=ann, number=1, title="x"))
    store.do(short(author=ann, number=2, title="x").save(ttl=0))
    store.do(short(author=ann, number=3, title="x").save(ttl=10 * TTL))
    assert left(store, short.find(author=ann, number=1)) == "some"
    assert left(store, short.find(author=ann, number=2)) is None
    assert 9 * TTL < store.do(short.find(author=ann, number=3).column_ttl("title")) <= 10 * TTL
    store.do(short(author=ann, number=2).update(score=1))
    assert left(store, short.find(author=ann, number=2), "score") == "some"
    assert left(store, short.find(author=ann, number=2)) is None


def test_what_is_over_is_gone_for_reads_counts_and_conditions(store: Store, note: Any, ann: str) -> None:
    gone, stays = note(author=ann, number=1, title="gone"), note(author=ann, number=2, title="stays", score=1)
    store.do(gone.save(ttl=1))
    store.do(stays.save())
    store.do(stays.update(score=2, ttl=1))
    store.do(note(author=ann, number=3).update(title="made by an update", ttl=1))
    deadline = time.monotonic() + 30
    while store.do(note.find_one(author=ann, number=1)) or store.do(note.get(author=ann, number=2)).score is not None:
        assert time.monotonic() < deadline
    assert [(read.number, read.title) for read in store.listed(note.find(author=ann))] == [(2, "stays")]
    assert store.do(note.find(author=ann).count()) == 1
    assert store.do(note.find(author=ann).max("number")) == 2
    assert store.do(gone.delete(if_exists=True)).applied is False
    assert store.do(gone.insert()).applied is True


def test_a_ttl_of_a_batch_is_kept(store: Store, note: Any, ann: str) -> None:
    async def on_loop(batch: Any) -> None:
        async with batch:
            await note(author=ann, number=1, title="x").save(ttl=TTL, batch=batch)
            await note(author=ann, number=2, title="x").save(batch=batch)

    if hasattr(store.face, "AsyncBatchQuery"):
        store.do(on_loop(store.face.AsyncBatchQuery()))
    else:
        with store.face.BatchQuery() as batch:
            note(author=ann, number=1, title="x").save(ttl=TTL, batch=batch)
            note(author=ann, number=2, title="x").save(batch=batch)
    assert left(store, note.find(author=ann, number=1)) == "some"
    assert left(store, note.find(author=ann, number=2)) is None


def test_a_ttl_of_single_elements_is_kept_or_refused_by_name(store: Store, note: Any, ann: str) -> None:
    one = store.do(note.create(author=ann, number=1, tags={"a"}))
    if store.is_cassandra:
        store.do(one.update(tags__add={"b"}, ttl=TTL))
        assert store.do(note.get(author=ann)).tags == {"a", "b"}
    else:
        with pytest.raises(InvalidQueryError, match=r"no TTL for elements of a collection"):
            store.do(one.update(tags__add={"b"}, ttl=TTL))
        assert store.do(note.get(author=ann)).tags == {"a"}
    store.do(one.update(tags={"c"}, ttl=TTL))
    assert store.do(note.get(author=ann)).tags == {"c"}


TIMED: dict[str, Callable[[Any, str], Any]] = {
    "save": lambda note, ann: note(author=ann, number=1, title="old").save(timestamp=LONG_AGO),
    "update": lambda note, ann: note.find(author=ann, number=1).timestamp(LONG_AGO).update(title="old"),
    "delete": lambda note, ann: note(author=ann, number=1).delete(timestamp=LONG_AGO),
    "rows delete": lambda note, ann: note.find(author=ann, number=1).timestamp(LONG_AGO).delete(),
}


@pytest.mark.parametrize("write", TIMED.values(), ids=list(TIMED))
def test_the_latest_timestamp_wins_or_timestamps_are_refused_by_name(
    store: Store, note: Any, ann: str, write: Callable[[Any, str], Any]
) -> None:
    store.do(note.create(author=ann, number=1, title="new"))
    if store.is_cassandra:
        store.do(write(note, ann))
    else:
        with pytest.raises(InvalidQueryError, match=r"no write timestamps"):
            store.do(write(note, ann))
    assert store.do(note.get(author=ann)).title == "new"


def test_a_write_time_is_told_or_refused_by_name(store: Store, note: Any, ann: str) -> None:
    if not store.is_cassandra:
        with pytest.raises(InvalidQueryError, match=r"no writetime\(\)"):
            store.do(note.find(author=ann).writetime("title"))
        return
    store.do(note(author=ann, number=1, title="x").save(timestamp=LONG_AGO, ttl=TTL))
    assert store.do(note.find(author=ann).writetime("title")) == LONG_AGO
    assert left(store, note.find(author=ann)) == "some"
