"""What an update refuses before it is sent: values that the fields of the model refuse, options that are columns."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import ConfigDict, Field, StringConstraints, ValidationError, field_validator

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


def collected(store: Store) -> Any:
    class Collected(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        id: Annotated[int, PrimaryKey()]
        scores: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=3)] = Field(default_factory=list)
        tags: set[Annotated[str, StringConstraints(to_lower=True, min_length=2)]] | None = None
        ratios: dict[Annotated[str, Field(pattern="^[a-z]+$")], Annotated[float, Field(le=0.1)]] = {}

        class Settings:
            name = fresh("collected")

        @field_validator("ratios")
        @classmethod
        def never_empty(cls, value: dict[str, float]) -> dict[str, float]:
            return value

    return Collected


@pytest.mark.parametrize(
    "change",
    [
        {"scores__add": [1, -5]},
        {"scores__prepend": [-5]},
        {"scores__setindex": (0, -5)},
        {"tags__add": {"x"}},
        {"ratios__update": {"a": 0.2}},
        {"ratios__put": ("A", 0.1)},
        {"ratios__put": ("a", 0.2)},
    ],
    ids=str,
)
def test_an_element_that_the_field_refuses_is_not_sent(store: Store, change: dict[str, Any]) -> None:
    model = store.once("collected", collected)
    store.do(model(id=1, scores=[1]).save())
    with pytest.raises(ValidationError, match=next(iter(change)).partition("__")[0]):
        store.do(model(id=1).update(**change))
    with pytest.raises(ValidationError):
        store.do(model.find(id=1).update(**change))
    assert store.do(model.get(id=1)) == model(id=1, scores=[1], tags=set())


def test_elements_are_sent_as_their_validators_give_them(store: Store) -> None:
    model = store.once("collected", collected)
    document = model(id=2, scores=[1], ratios={"b": 0.1})
    store.do(document.save())
    store.do(document.update(scores__prepend=(0,), tags__add={"AB"}, ratios__put=("a", 0.1)))
    store.do(document.update(scores__remove=[-5], tags__remove={"X"}))  # what no instance holds may be taken out
    assert store.do(model.get(id=2)) == model(id=2, scores=[0, 1], tags={"ab"}, ratios={"a": 0.1, "b": 0.1})


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
