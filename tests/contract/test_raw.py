"""Statements given as text, and keyspaces, on every store and both faces."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from coodie import drivers, sync
from coodie.connections import resolve
from coodie.exceptions import ConfigurationError, InvalidQueryError, Rejected
from coodie.fields import PrimaryKey
from tests.contract.stores import Store, fresh


def notes_model(store: Store) -> Any:
    """Return a model of notes."""

    class Note(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        id: Annotated[int, PrimaryKey()]
        text: str = ""

        class Settings:
            name = fresh("notes")

    return Note


def test_a_text_writes_and_reads_with_bound_values(store: Store) -> None:
    notes = store.once("notes", notes_model)
    table, execute = resolve(notes)[1].full_name, store.face.execute_raw
    assert store.do(execute(f"INSERT INTO {table} (id, text) VALUES (?, ?)", [1, "it's ?"])) == []
    assert store.do(execute(f"SELECT id, text FROM {table} WHERE id = ?", (1,))) == [{"id": 1, "text": "it's ?"}]
    assert store.do(execute(f"SELECT text FROM {table} WHERE id = 1;")) == [{"text": "it's ?"}]
    assert store.do(notes.get(id=1)).text == "it's ?"
    assert store.do(execute(f"DELETE FROM {table} WHERE id = ?", [1])) == []
    assert store.do(execute(f"SELECT * FROM {table} WHERE id = 1")) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("SELECT 1 WHERE a = ?", "x"), r"params takes a list of values"),
        (("SELECT 1 WHERE a = ?", {"a": 1}), r"params takes a list of values"),
        (("  ",), r"text of a statement is wanted"),
        ((None,), r"text of a statement is wanted"),
    ],
)
def test_what_is_no_text_or_no_list_is_refused(store: Store, arguments: Any, said: str) -> None:
    with pytest.raises(InvalidQueryError, match=said):
        store.do(store.face.execute_raw(*arguments))


def test_a_wrong_number_of_values_is_refused(store: Store) -> None:
    table = resolve(store.once("notes", notes_model))[1].full_name
    for values in ([], [1, 2]):
        with pytest.raises((InvalidQueryError, Rejected)):
            store.do(store.face.execute_raw(f"SELECT * FROM {table} WHERE id = ?", values))


def test_a_keyspace_is_made_used_and_dropped(store: Store) -> None:
    name = fresh("spare") + f"_{store.kind}_{store.face.__name__[-4:].replace('.', '')}"
    face = store.face
    if not store.is_cassandra:
        for call in (lambda: face.create_keyspace(name), lambda: face.drop_keyspace(name)):
            with pytest.raises(InvalidQueryError, match=r"The SQLite store has no (CREATE|DROP) KEYSPACE"):
                store.do(call())
        return
    assert store.do(face.create_keyspace(name)) is None
    store.do(face.create_keyspace(name))  # it exists: nothing happens

    class Elsewhere(face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        id: Annotated[int, PrimaryKey()]

        class Settings:
            keyspace = name

    assert name in store.do(Elsewhere.sync_table())[0]
    store.do(Elsewhere.create(id=7))
    assert store.do(face.execute_raw(f"SELECT id FROM {name}.elsewhere")) == [{"id": 7}]
    assert store.do(Elsewhere.get(id=7)).id == 7
    assert store.do(face.drop_keyspace(name)) is None
    store.do(face.drop_keyspace(name))
    with pytest.raises(Rejected):
        store.do(face.execute_raw(f"SELECT id FROM {name}.elsewhere"))


def test_replicas_are_given_for_each_data_centre(store: Store) -> None:
    if not store.is_cassandra:
        return
    name = fresh("dc") + f"_{store.kind}_{store.face.__name__[-4:].replace('.', '')}"
    store.do(store.face.create_keyspace(name, dc_replication_map={"datacenter1": 1}))
    text = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?"
    found = store.do(store.face.execute_raw(text, [name]))[0]["replication"]
    assert found["class"].endswith("NetworkTopologyStrategy")
    assert found["datacenter1"] == "1"
    store.do(store.face.drop_keyspace(name))


def test_a_bad_number_of_replicas_is_refused(store: Store) -> None:
    for options in ({"replication_factor": "1"}, {"dc_replication_map": {"dc1": -1}}, {"replication_factor": True}):
        with pytest.raises(InvalidQueryError, match=r"replication factor is an integer"):
            store.do(store.face.create_keyspace("unused", **options))


def test_keyspaces_of_another_connection(store: Store) -> None:
    with pytest.raises(ConfigurationError, match=r"none named 'nowhere'"):
        store.do(store.face.create_keyspace("unused", connection="nowhere"))
    sync.init_coodie(driver_type="sqlite", database=":memory:", name="elsewhere")
    drivers.register_driver("default", store.driver, default=True)
    try:
        with pytest.raises(InvalidQueryError, match=r"The SQLite store has no CREATE KEYSPACE"):
            store.do(store.face.create_keyspace("unused", connection="elsewhere"))
    finally:
        drivers._registry.pop("elsewhere").close()
