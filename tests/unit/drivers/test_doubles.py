"""
Drivers that users write for their tests: every operation reaches ``execute(text, params)``, on both faces.

Rules that live here: the texts and values are those of Cassandra, whatever the operation; a double that answers nothing
is a database that applied everything and holds no rows.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from coodie import aio, batch, drivers, sync
from coodie.drivers import AbstractDriver, register_driver, registry
from coodie.exceptions import MaybeApplied
from coodie.fields import Counter, PrimaryKey
from coodie.results import LWTResult, PagedResult

Row = dict[str, Any]


class Least:
    """The least a double may be: no paging, no options, no coroutines."""

    _default_keyspace = "ks"

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.calls: list[tuple[str, list[Any]]] = []

    def execute(self, stmt: str, params: list[Any]) -> list[Row]:
        self.calls.append((stmt, params))
        return self.rows


class Whole(Least):
    """The whole protocol, with rows given page by page."""

    needs_row_validation = False
    _last_paging_state: bytes | None = None

    def execute(self, stmt: str, params: list[Any], **options: Any) -> list[Row]:
        self.calls.append((stmt, params))
        size, start = options.get("fetch_size"), int(options.get("paging_state") or 0)
        end = len(self.rows) if size is None else start + size
        self._last_paging_state = str(end).encode() if end < len(self.rows) else None
        return self.rows[start:end]

    async def execute_async(self, stmt: str, params: list[Any], **options: Any) -> list[Row]:
        return self.execute(stmt, params, **options)


class Heir(AbstractDriver):
    """A class derived from the one that is offered for it."""

    _default_keyspace = "ks"

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.calls: list[tuple[str, list[Any]]] = []

    def execute(  # type: ignore[override]  # shorter than the protocol, as users write it
        self,
        stmt: str,
        params: list[Any],
        consistency: Any = None,
        timeout: Any = None,
        fetch_size: Any = None,
        **_: Any,
    ) -> list[Row]:
        self.calls.append((stmt, params))
        return self.rows


class Face:
    """A face with its models, and a double behind it."""

    def __init__(self, face: Any, double: Any) -> None:
        self.face, self.double = face, double

        class Note(face.Document):  # type: ignore[misc]  # a face chosen at run time
            id: Annotated[str, PrimaryKey()]
            n: int = 0
            tags: set[str] = set()

            class Settings:
                name = "notes"

        class Hits(face.CounterDocument):  # type: ignore[misc]  # likewise
            url: Annotated[str, PrimaryKey()]
            views: Annotated[int, Counter()]

            class Settings:
                name = "hits"

        self.note, self.hits = Note, Hits
        self.batch: Any = batch.BatchQuery if face is sync else batch.AsyncBatchQuery


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(drivers, "_registry", registry.Registry())
    monkeypatch.setattr(drivers, "_default_driver_name", None)
    yield
    registry.changed()


@pytest.fixture(params=[(face, kind) for face in ("sync", "aio") for kind in (Least, Whole, Heir)], ids=str)
def face(request: pytest.FixtureRequest) -> Face:
    name, kind = request.param
    double = kind()
    register_driver("default", double)
    return Face({"sync": sync, "aio": aio}[name], double)


def answered(call: Any) -> Any:
    """Return the answer of a call, awaited where the face wants it."""

    async def awaited() -> Any:
        return await call

    return asyncio.run(awaited()) if inspect.isawaitable(call) else call


async def _batched(face: Face) -> Any:
    collected = face.batch()
    for call in (face.note(id="a").save, face.note(id="b").delete):
        done = call(batch=collected)
        if inspect.isawaitable(done):
            await done
    sent = collected.execute()
    return await sent if inspect.isawaitable(sent) else sent


INSERT = 'INSERT INTO ks.notes ("id", "n", "tags") VALUES (?, ?, ?)'
SELECT = 'SELECT "id", "n", "tags" FROM ks.notes'
APPLIED = LWTResult(True, None)
WRITES: dict[str, tuple[Callable[[Face], Any], Any, str, list[Any]]] = {
    # what is done, what it answers, the text, its values
    "save": (lambda f: f.note(id="a").save(), None, INSERT, ["a", 0, set()]),
    "save ttl": (lambda f: f.note(id="a").save(ttl=5), None, f"{INSERT} USING TTL ?", ["a", 0, set(), 5]),
    "insert": (lambda f: f.note(id="a").insert(), APPLIED, f"{INSERT} IF NOT EXISTS", ["a", 0, set()]),
    "save_json": (
        lambda f: f.note(id="a").save_json(),
        None,
        "INSERT INTO ks.notes JSON ?",
        ['{"id": "a", "n": 0, "tags": []}'],
    ),
    "update": (
        lambda f: f.note(id="a").update(n=2, tags__add={"x"}),
        None,
        'UPDATE ks.notes SET "n" = ?, "tags" = "tags" + ? WHERE "id" = ?',
        [2, {"x"}, "a"],
    ),
    "update if": (
        lambda f: f.note(id="a").update(n=2, if_conditions={"n": 1}),
        APPLIED,
        'UPDATE ks.notes SET "n" = ? WHERE "id" = ? IF "n" = ?',
        [2, "a", 1],
    ),
    "delete": (lambda f: f.note(id="a").delete(), None, 'DELETE FROM ks.notes WHERE "id" = ?', ["a"]),
    "update of a queryset": (
        lambda f: f.note.find(id="a").ttl(5).update(n=3),
        None,
        'UPDATE ks.notes USING TTL ? SET "n" = ? WHERE "id" = ?',
        [5, 3, "a"],
    ),
    "delete of a queryset": (
        lambda f: f.note.find(id="a").delete(),
        None,
        'DELETE FROM ks.notes WHERE "id" = ?',
        ["a"],
    ),
    "create of a queryset": (
        lambda f: f.note.find().if_not_exists().create(id="a"),
        APPLIED,
        f"{INSERT} IF NOT EXISTS",
        ["a", 0, set()],
    ),
    "batch": (
        _batched,
        None,
        f'BEGIN BATCH {INSERT}; DELETE FROM ks.notes WHERE "id" = ?; APPLY BATCH',
        ["a", 0, set(), "b"],
    ),
    "increment": (
        lambda f: f.hits(url="/").increment(views=2),
        None,
        'UPDATE ks.hits SET "views" = "views" + ? WHERE "url" = ?',
        [2, "/"],
    ),
    "truncate": (lambda f: f.note.truncate(), None, "TRUNCATE TABLE ks.notes", []),
    "text": (lambda f: f.face.execute_raw("UPDATE t SET a = ?", [1]), [], "UPDATE t SET a = ?", [1]),
}


@pytest.mark.parametrize(("call", "answer", "text", "values"), WRITES.values(), ids=list(WRITES))
def test_a_write_is_one_text_with_its_values(
    face: Face, call: Callable[[Face], Any], answer: Any, text: str, values: list[Any]
) -> None:
    assert answered(call(face)) == answer
    written = [each for each in face.double.calls if "system_schema" not in each[0]]
    assert written == [(text, values)]


def test_what_a_double_refuses_was_not_applied(face: Face) -> None:
    face.double.rows = [{"[applied]": False, "n": 9}]
    note = face.note(id="a", n=1)
    assert answered(note.insert()) == LWTResult(False, {"n": 9})
    assert answered(note.update(n=2, if_conditions={"n": 1})) == LWTResult(False, {"n": 9})
    assert note.n == 1


STORED: list[Row] = [{"id": "a", "n": 1, "tags": {"x"}}, {"id": "b", "n": 2, "tags": None}]
READS: dict[str, tuple[Callable[[Face], Any], Callable[[Face], Any], list[Row], str]] = {
    # what is asked, what it answers, the rows of the double, the text
    "all": (
        lambda f: f.note.find().all(),
        lambda f: [f.note(id="a", n=1, tags={"x"}), f.note(id="b", n=2)],
        STORED,
        SELECT,
    ),
    "first": (
        lambda f: f.note.find().first(),
        lambda f: f.note(id="a", n=1, tags={"x"}),
        STORED[:1],
        f"{SELECT} LIMIT ?",
    ),
    "only": (
        lambda f: f.note.find().only("n").values_list().all(),
        lambda f: [(1,), (2,)],
        [{"n": 1}, {"n": 2}],
        'SELECT "n" FROM ks.notes',
    ),
    "tuples": (
        lambda f: f.note.find().values_list("n", "id").all(),
        lambda f: [(1, "a")],
        [{"n": 1, "id": "a"}],
        'SELECT "n", "id" FROM ks.notes',
    ),
    "json": (
        lambda f: f.note.find().json(),
        lambda f: ['{"id": "a", "n": 1, "tags": ["x"]}'],
        STORED[:1],
        SELECT,
    ),
    "count": (lambda f: f.note.find().count(), lambda f: 7, [{"count": 7}], "SELECT COUNT(*) FROM ks.notes"),
    "aggregate": (
        lambda f: f.note.find().aggregate(total="sum(n)", most="max(n)"),
        lambda f: {"total": 7, "most": 2},
        [{"system.sum(n)": 7, "system.max(n)": 2}],
        'SELECT SUM(CAST("n" AS varint)), MAX("n") FROM ks.notes',
    ),
    "text": (lambda f: f.face.execute_raw("SELECT 1"), lambda f: [{"a": 1}], [{"a": 1}], "SELECT 1"),
}


@pytest.mark.parametrize(("call", "answer", "rows", "text"), READS.values(), ids=list(READS))
def test_a_read_is_one_text_and_takes_the_rows_as_they_are(
    face: Face, call: Callable[[Face], Any], answer: Callable[[Face], Any], rows: list[Row], text: str
) -> None:
    face.double.rows = rows
    assert answered(call(face)) == answer(face)
    assert [each[0] for each in face.double.calls] == [text]


def test_a_row_is_found_by_its_key(face: Face) -> None:
    face.double.rows = STORED[:1]
    assert answered(face.note.get(id="a")).tags == {"x"}
    assert face.double.calls == [(f'{SELECT} WHERE "id" = ? LIMIT ?', ["a", 2])]


def listed(rows: Any) -> list[Any]:
    """Return the documents of a QuerySet, iterated as its face iterates."""

    async def gathered() -> list[Any]:
        return [each async for each in rows]

    return list(rows) if isinstance(rows, sync.QuerySet) else asyncio.run(gathered())


def test_iterating_asks_for_pages_of_a_double_that_knows_them_and_takes_all_rows_of_another(face: Face) -> None:
    face.double.rows = [{"id": str(number), "n": number, "tags": None} for number in range(5)]
    assert [note.n for note in listed(face.note.find().fetch_size(2))] == list(range(5))
    knows_pages = isinstance(face.double, Whole)
    assert len(face.double.calls) == (3 if knows_pages else 1)
    page = answered(face.note.find().fetch_size(2).paged_all())
    assert isinstance(page, PagedResult)
    assert page.paging_state == (b"2" if knows_pages else None)


def test_a_table_is_synced(face: Face) -> None:
    create = 'CREATE TABLE IF NOT EXISTS ks.notes ("id" text, "n" int, "tags" set<text>, PRIMARY KEY (("id")))'
    assert answered(face.note.sync_table(dry_run=True)) == [create]
    assert [each[0][:6] for each in face.double.calls] == ["SELECT"]
    assert answered(face.note.sync_table()) == [create]


def test_a_mock_takes_every_operation() -> None:
    mock = MagicMock()
    mock.execute.return_value = []
    mock._default_keyspace = "ks"
    register_driver("default", mock)
    face = Face(sync, mock)
    for call, answer, text, values in WRITES.values():
        mock.execute.reset_mock()
        assert answered(call(face)) == answer
        assert mock.execute.call_args.args == (text, values)


def test_an_async_mock_is_awaited() -> None:
    mock = AsyncMock()
    mock.execute_async.return_value = [{"id": "a", "n": 1, "tags": None}]
    mock._default_keyspace = "ks"
    register_driver("default", mock)
    face = Face(aio, mock)
    assert answered(face.note.find(id="a").all()) == [face.note(id="a", n=1)]
    mock.execute_async.assert_awaited_once_with(f'{SELECT} WHERE "id" = ?', ["a"])


def test_what_a_double_raises_passes_as_itself_and_as_ours(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Exception):
        pass

    def raise_it(*_: Any, **__: Any) -> Any:
        raise Broken("wire cut")

    for name in ("execute", "execute_async"):
        monkeypatch.setattr(face.double, name, raise_it, raising=False)
    with pytest.raises(Broken) as caught:
        answered(face.note(id="a").save())
    assert isinstance(caught.value, MaybeApplied)
    assert caught.value.statement == INSERT
