"""Tables on every store: made, completed, dropped; and what is refused by the database itself."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest

from coodie.connections import resolve
from coodie.cql import render
from coodie.exceptions import InvalidQueryError, TableRejected
from coodie.fields import ClusteringKey, Counter, Indexed, PrimaryKey
from coodie.plans import counters
from coodie.statement import DropTable, Outcome, Statement
from tests.contract.stores import Store, fresh


def hits(store: Store, name: str, *counters: str) -> Any:
    """Make a counter model of a table, with the counters named."""
    annotations: dict[str, Any] = {"url": Annotated[str, PrimaryKey()]}
    annotations |= dict.fromkeys(counters, Annotated[int, Counter()])
    settings = type("Settings", (), {"name": name, "__module__": __name__, "__qualname__": "Hits.Settings"})
    body = {"__annotations__": annotations, "__module__": __name__, "__qualname__": "Hits", "Settings": settings}
    return type(store.face.CounterDocument)("Hits", (store.face.CounterDocument,), body)


def test_a_table_is_made_once_and_known_after(store: Store) -> None:
    model = hits(store, fresh("hits"), "views")
    assert len(store.do(model.sync_table(dry_run=True))) == 1
    assert store.do(model.sync_table())[0].startswith("CREATE TABLE IF NOT EXISTS")
    assert store.do(model.sync_table()) == []
    assert len(store.do(model.sync_table(dry_run=True))) == 1


def test_columns_that_came_later_are_added(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    name = fresh("hits")
    old = store.table(hits(store, name, "views"))
    store.do(old(url="/").increment(views=1))
    new = hits(store, name, "views", "likes")
    assert ["ALTER" in statement for statement in store.do(new.sync_table())] == [False, True]
    store.do(new(url="/").increment(likes=2))
    read = store.do(new.get(url="/"))
    assert (read.views, read.likes) == (1, 2)
    store.do(old.sync_table())
    assert [message for message in caplog.messages if "Schema drift detected: columns {'likes'}" in message]


def test_a_dropped_table_can_be_made_again(store: Store) -> None:
    model = store.table(hits(store, fresh("hits"), "views"))
    store.do(model(url="/").increment(views=1))
    store.do(model.drop_table())
    store.do(model.drop_table())
    assert len(store.do(model.sync_table())) == 1
    assert store.do(model.find().count()) == 0


def test_a_table_that_was_never_made_is_said_to_be_missing(store: Store) -> None:
    model = hits(store, fresh("hits"), "views")
    with pytest.raises(TableRejected):
        store.do(model(url="/").increment(views=1))
    with pytest.raises(TableRejected):
        store.do(model.find().all())


@pytest.mark.parametrize("way", ["submit", "submit_async", "execute_many", "text"])
def test_a_table_that_was_dropped_elsewhere_is_made_again(store: Store, way: str) -> None:
    model, other = (store.table(hits(store, fresh("hits"), "views")) for _ in range(2))
    driver, table = resolve(model)
    store.do(model(url="/").increment(views=1))
    driver.submit(Statement(DropTable(table), render=render))
    assert store.do(model.sync_table()) == []  # nobody has noticed yet
    update = counters.update(table, ("views",))
    if way == "execute_many":
        told: list[Outcome] = []
        driver.execute_many([(update, (1, "/"))], 1, lambda index, outcome, count=1: told.append(outcome))
        assert isinstance(told[0].error, TableRejected)
    else:
        with pytest.raises(TableRejected):
            if way == "submit":
                driver.submit(update.with_values((1, "/")))
            elif way == "submit_async":
                asyncio.run(driver.submit_async(update.with_values((1, "/"))))
            else:
                driver.execute(f"SELECT * FROM {table.full_name}")
    assert store.do(model.sync_table())[0].startswith("CREATE TABLE IF NOT EXISTS")
    store.do(model(url="/").increment(views=2))
    assert store.do(model.get(url="/")).views == 2
    assert bool(store.do(other.sync_table())) is (way == "text")  # a text may be about any table
    for each in (model, other):
        store.do(each.drop_table())


def test_names_that_need_quoting_are_quoted(store: Store) -> None:
    for name in ('"MixedCase"', "select", "Table"):
        model = store.table(hits(store, name, "order", "mixedCase"))
        store.do(model(url="/").increment(order=1, mixedCase=2))
        read = store.do(model.get(url="/"))
        assert (read.order, read.mixedCase) == (1, 2)
        assert store.do(model.sync_table(dry_run=True))
        store.do(model.drop_table())


def test_names_of_columns_may_differ_in_case_where_the_database_tells_them_apart(store: Store) -> None:
    name = fresh("hits")
    store.table(hits(store, name, "a"))
    both = hits(store, name, "a", "A")
    if not store.is_cassandra:
        for model in (both, hits(store, fresh("hits"), "a", "A"), hits(store, name, "A")):
            with pytest.raises(InvalidQueryError, match=r"no two columns whose names differ in case only"):
                store.do(model.sync_table())
        return
    store.do(store.table(both)(url="/").increment(a=1, A=2))
    read = store.do(both.get(url="/"))
    assert (read.a, read.A) == (1, 2)


def test_a_key_cannot_be_changed(store: Store) -> None:
    table = fresh("hits")
    store.table(hits(store, table, "views"))

    class Wider(store.face.CounterDocument):  # type: ignore[name-defined,misc]  # a face chosen at run time
        url: Annotated[str, PrimaryKey()]
        day: Annotated[int, ClusteringKey()]
        views: Annotated[int, Counter()]

        class Settings:
            name = table

    with pytest.raises(InvalidQueryError, match=r"exists without the key column 'day'"):
        store.do(Wider.sync_table())


def test_an_index_makes_a_column_searchable_and_can_be_removed(store: Store) -> None:
    table = fresh("posts")

    class Post(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        id: Annotated[int, PrimaryKey()]
        author: Annotated[str, Indexed()]

        class Settings:
            name = table

    store.table(Post)
    store.do(Post.create(id=1, author="ann"))
    store.do(Post.create(id=2, author="bob"))
    assert [post.id for post in store.do(Post.find(author="bob").all())] == [2]
    index = f"{table}_author_idx"
    assert not any("DROP" in text for text in store.do(Post.sync_table(drop_removed_indexes=True)))

    class Plain(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        id: Annotated[int, PrimaryKey()]
        author: str

        class Settings:
            name = table

    assert index in store.do(Plain.sync_table(drop_removed_indexes=True))[-1]


def test_what_a_synced_table_is_asked_first_is_prepared_ahead(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Post(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        author: Annotated[str, PrimaryKey()]
        number: Annotated[int, ClusteringKey()]
        title: str = ""

        class Settings:
            name = fresh("posts")

    counted = hits(store, fresh("hits"), "views")
    for model in (Post, counted):
        store.table(model)
        assert store.do(model.sync_table()) == []
    if store.kind == "cassandra":

        def refuse(text: str) -> None:
            raise AssertionError(f"{text} was not prepared")

        monkeypatch.setattr(store.driver._session, "prepare", refuse)
    post = store.do(Post.create(author="ann", number=1, title="T"))
    assert store.do(Post.get(author="ann", number=1)) == post
    assert store.do(counted.find_one(url="/none")) is None


def test_table_options_are_set_and_changed(store: Store) -> None:
    table = fresh("posts")
    model = _with_options(store, table, 600, {"comment": "it's", "compaction": {"class": "LeveledCompactionStrategy"}})
    store.table(model)
    if not store.is_cassandra:  # options mean nothing there, but for the TTL, which is that of the class that writes
        assert len(store.do(_with_options(store, table, 60, {}).sync_table(dry_run=True))) == 1
        return
    assert len(store.do(model.sync_table(dry_run=True))) == 1
    changed = _with_options(store, table, 60, {"comment": "it's"})
    expected = f"ALTER TABLE {store.driver._default_keyspace}.{table} WITH default_time_to_live = 60"
    assert store.do(changed.sync_table(dry_run=True))[1:] == [expected]


def _with_options(store: Store, table: str, ttl: int, options: dict[str, Any]) -> Any:
    class Post(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        id: Annotated[int, PrimaryKey()]

        class Settings:
            name = table
            __default_ttl__ = ttl
            __options__ = options

    return Post
