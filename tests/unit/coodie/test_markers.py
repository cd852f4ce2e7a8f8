"""Markers, names and options that would be taken in silence for something else are refused when the schema is built."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from coodie import sync
from coodie.exceptions import InvalidQueryError
from coodie.fields import BigInt, Counter, Frozen, Indexed, PrimaryKey
from coodie.schema import is_abstract, table_of


def built(annotation: Any, face: Any = sync.Document, **settings: Any) -> Any:
    """Return the Table of a model with one column of this annotation."""
    fields = {"id": Annotated[int, PrimaryKey()], "v": annotation}
    body = {"__annotations__": fields, "__module__": __name__, "Settings": type("Settings", (), settings)}
    body["Settings"].__qualname__ = "Model.Settings"
    return table_of(type(face)("Model", (face,), {**body, "__qualname__": "Model"}))


@pytest.mark.parametrize(
    "annotation",
    [Annotated[int, BigInt], Annotated[str, Indexed], Annotated[list[Annotated[int, BigInt]], Frozen()]],
    ids=repr,
)
def test_a_marker_without_parentheses_is_refused(annotation: Any) -> None:
    with pytest.raises(InvalidQueryError, match=r"\(\)"):
        built(annotation)


def test_a_counter_without_parentheses_is_refused() -> None:
    with pytest.raises(InvalidQueryError, match=r"Counter\(\)"):
        built(Annotated[int, Counter], sync.CounterDocument)


def test_names_of_indexes_and_ttl_are_checked_for_every_store() -> None:
    with pytest.raises(InvalidQueryError, match="weird name!"):
        built(Annotated[str, Indexed("weird name!")])
    with pytest.raises(InvalidQueryError, match="__default_ttl__"):
        built(int, __default_ttl__="5")


def test_settings_that_inherit_do_not_inherit_being_abstract() -> None:
    class Base(sync.Document):
        id: Annotated[int, PrimaryKey()]

        class Settings:
            __abstract__ = True

    class Kid(Base):
        class Settings(Base.Settings):
            name = "kid"

    assert is_abstract(Base)
    assert not is_abstract(Kid)
