"""Types come back as declared, and equal to what was saved, on every store."""

from __future__ import annotations

from typing import Annotated, Any, Optional, get_origin

import pytest
from pydantic import create_model

from coodie.exceptions import InvalidQueryError
from coodie.fields import PrimaryKey
from coodie.json_values import row_json
from coodie.schema import table_of
from tests.contract.stores import Store, fresh
from tests.contract.typed import TYPES, read_of, saved_of, shape_of, stored_of

FIELDS: dict[str, Any] = {name: (Optional[annotation], None) for name, (annotation, _) in TYPES.items()}  # noqa: UP045 - of any annotation
CASES = [
    pytest.param(name, value, id=f"{name}-{at}")
    for name, (_, values) in TYPES.items()
    for at, value in enumerate(values)
]


def is_scalar(name: str) -> bool:
    """Return whether a database compares values of a type: not collections, not durations."""
    return name.partition("_")[0] not in ("list", "set", "dict", "tuple", "duration")


def kept_model(store: Store) -> Any:
    """Return a model with a field of every type."""
    settings = type("Settings", (), {"name": fresh("kept")})
    made: Any = create_model("Kept", __base__=store.face.Document, id=(Annotated[str, PrimaryKey()], ...), **FIELDS)
    made.Settings = settings
    return made


@pytest.fixture
def kept(store: Store) -> Any:
    """Give that model, on a table that the tests share."""
    return store.once("kept", kept_model)


def is_cut(store: Store, name: str, value: Any) -> bool:
    """Return whether acsylla would cut a text at its NUL, which is refused."""
    return store.kind == "acsylla" and name == "text_ascii" and "\0" in value


@pytest.mark.parametrize(("name", "value"), CASES)
def test_what_is_saved_is_what_is_read(store: Store, kept: Any, name: str, value: Any) -> None:
    key, expected = fresh("saved"), shape_of(read_of(value))
    stored = shape_of(stored_of(read_of(value)))  # tuples hold what pydantic makes the values of a field from
    document = kept(id=key, **{name: saved_of(value)})
    if is_cut(store, name, value):
        with pytest.raises(InvalidQueryError, match="NUL"):
            store.do(document.save())
        return
    store.do(document.save())
    assert shape_of(getattr(store.do(kept.get(id=key)), name)) == expected
    assert [shape_of(getattr(found, name)) for found in store.do(kept.find(id=key).all())] == [expected]
    assert [shape_of(found) for (found,) in store.do(kept.find(id=key).values_list(name).all())] == [stored]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_what_is_assigned_by_update_is_what_is_read(store: Store, kept: Any, name: str, value: Any) -> None:
    document = kept(id=fresh("updated"))
    store.do(document.save())
    if is_cut(store, name, value):
        with pytest.raises(InvalidQueryError, match="NUL"):
            store.do(document.update(**{name: saved_of(value)}))
        return
    store.do(document.update(**{name: saved_of(value)}))
    assert shape_of(getattr(store.do(kept.get(id=document.id)), name)) == shape_of(read_of(value))


@pytest.mark.parametrize(("name", "value"), CASES)
def test_what_is_saved_as_json_is_what_is_read(store: Store, kept: Any, name: str, value: Any) -> None:
    key = fresh("json")
    document = kept(id=key, **{name: saved_of(value)})
    store.do(document.save_json())
    assert shape_of(getattr(store.do(kept.get(id=key)), name)) == shape_of(read_of(value))
    expected = row_json(table_of(kept), {name: stored_of(read_of(value))})
    assert store.do(kept.find(id=key).only(name).json()) == [expected]


@pytest.mark.parametrize(("name", "value"), [case for case in CASES if is_scalar(case.values[0])])
def test_what_is_saved_is_found_by_its_value(store: Store, kept: Any, name: str, value: Any) -> None:
    key, one, other = fresh("found"), saved_of(value), read_of(value)
    if is_cut(store, name, value):
        return
    store.do(kept(id=key, **{name: one}).save())
    for each in (one, other):
        assert store.do(kept.find(id=key, **{name: each}).allow_filtering().count()) == 1


def test_none_comes_back_from_every_field(store: Store, kept: Any) -> None:
    key = fresh("none")
    store.do(kept(id=key).save())
    found = store.do(kept.get(id=key))
    for name, column in table_of(kept).by_name.items():
        kind = get_origin(column.annotation)
        empty = kind() if kind in (list, set, dict, frozenset) else None
        assert name == "id" or getattr(found, name) == empty, name
