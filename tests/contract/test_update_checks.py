"""What an update refuses before it is sent: values that the fields of the model refuse, options that are columns."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import ConfigDict, Field, ValidationError

from coodie.exceptions import InvalidQueryError
from coodie.fields import PrimaryKey
from tests.contract.stores import Store, fresh


def frozen(store: Store) -> Any:
    class Frozen(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        model_config = ConfigDict(frozen=True)
        id: Annotated[int, PrimaryKey()]
        n: Annotated[int, Field(ge=0)] = 0
        ttl: int = 0

        class Settings:
            name = fresh("frozen")

    return Frozen


def watched(store: Store) -> Any:
    class Watched(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        model_config = ConfigDict(validate_assignment=True)
        id: Annotated[int, PrimaryKey()]
        n: Annotated[int, Field(ge=0)] = 0
        tags: set[str] = set()

        class Settings:
            name = fresh("watched")

    return Watched


@pytest.mark.parametrize("make", [frozen, watched])
def test_a_value_that_the_field_refuses_is_not_sent(store: Store, make: Any) -> None:
    model = store.once(make.__name__, make)
    document = model(id=1, n=1)
    store.do(document.save())
    with pytest.raises(ValidationError):
        store.do(document.update(n=-5))
    with pytest.raises(ValidationError):
        store.do(model.find(id=1).update(n=-5))
    assert store.do(model.get(id=1)).n == 1
    store.do(document.update(n=7))
    assert store.do(model.get(id=1)).n == 7
    assert document.n == (1 if make is frozen else 7)  # a frozen instance stays what it is


def test_a_column_named_like_an_option_is_not_taken_for_it(store: Store) -> None:
    model = store.once("frozen", frozen)
    with pytest.raises(InvalidQueryError, match="ttl"):
        store.do(model(id=2).update(ttl=5))
    with pytest.raises(InvalidQueryError, match="ttl"):
        store.do(model.find(id=2).update(ttl=5))


def test_conditions_and_elements_of_the_wrong_form_are_refused(store: Store) -> None:
    document = store.once("watched", watched)(id=3)
    with pytest.raises(InvalidQueryError):
        store.do(document.update(n=1, if_conditions={"n__lte": None}))
    with pytest.raises(InvalidQueryError):
        store.do(document.update(n=1, if_conditions=["n"]))
    with pytest.warns(UserWarning, match="migrations"), pytest.raises(InvalidQueryError):
        store.do(document.delete_columns(collection_elements=["tags"]))
