"""Models as pydantic sees them, and rows as instances."""

from __future__ import annotations

import enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

import coodie
from coodie import aio, sync
from coodie.fields import Counter, PrimaryKey
from coodie.model import document_of, partial_documents
from coodie.sync import Document
from tests.unit.coodie.models import PageHits, Post

FACES = pytest.mark.parametrize("face", [sync, aio], ids=["sync", "aio"])


def test_counters_need_no_default() -> None:
    assert PageHits(url="/home").model_dump() == {"url": "/home", "views": 0, "unique_visitors": 0}
    assert str(PageHits.__signature__).count("= 0") == 2


def test_keys_are_still_required_and_checked() -> None:
    with pytest.raises(ValidationError, match="url\n  Field required"):
        PageHits()
    with pytest.raises(ValidationError, match="url\n"):
        PageHits(url=5)


def test_an_inherited_counter_needs_no_default_either() -> None:
    class Wider(PageHits):
        likes: Annotated[int, Counter()]

    assert Wider(url="/").model_dump() == {"url": "/", "views": 0, "unique_visitors": 0, "likes": 0}


def test_nulls_become_zero_empty_and_default() -> None:
    names = ("title", "tags", "notes", "price", "written", "motto")
    post = document_of(Post, {"author": "ann", "number": 1, **dict.fromkeys(names)})
    assert (post.title, post.tags, post.notes, post.price) == ("", set(), {}, None)


def test_rows_have_the_declared_types_whatever_the_driver_returned() -> None:
    class Visit(sync.Document):
        id: Annotated[UUID, PrimaryKey()]
        tags: set[int]

    visit = document_of(Visit, {"id": "11111111-2222-3333-4444-555555555555", "tags": [1, 2]})
    assert visit == Visit(id=UUID("11111111-2222-3333-4444-555555555555"), tags={1, 2})


def test_enums_are_held_by_value() -> None:
    class Colour(enum.Enum):
        RED = "red"

    class Car(sync.Document):
        id: Annotated[int, PrimaryKey()]
        colour: Colour

    assert Car(id=1, colour=Colour.RED).model_dump() == {"id": 1, "colour": "red"}
    assert document_of(Car, {"id": 1, "colour": "red"}) == Car(id=1, colour=Colour.RED)


def test_defaults_that_are_members_of_enums_are_held_by_value_too() -> None:
    class Colour(enum.Enum):
        RED = "red"

    class Car(sync.Document):
        id: Annotated[int, PrimaryKey()]
        colour: Colour = Colour.RED

    assert Car(id=1).model_dump() == {"id": 1, "colour": "red"}
    assert Car(id=1) == document_of(Car, {"id": 1, "colour": "red"})


def test_instances_carry_nothing_that_slows_construction() -> None:
    for face in (sync, aio):
        for base in (face.Document, face.CounterDocument):
            assert not base.__private_attributes__
            assert base.__init__ is PageHits.__init__
            assert base.__pydantic_post_init__ is None


def test_the_root_offers_the_aio_face_and_all_names() -> None:
    assert coodie.CounterDocument is aio.CounterDocument
    assert coodie.Counter is Counter
    assert coodie.__version__
    for name in coodie.__all__:
        assert getattr(coodie, name) is not None
    with pytest.raises(AttributeError, match=r"nothing"):
        coodie.nothing  # noqa: B018 - the look-up is the test


# --- documents of some fields -------------------------------------------------------------------------------------


class Checked(Document):
    """A model with validators of all kinds, private state, and fields named like methods of pydantic's."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[str, PrimaryKey()]
    name: Annotated[str, Field(min_length=2)] = "none"
    copied: int = Field(default=5, alias="json")
    notes: dict[str, int]
    _seen: list[int] = PrivateAttr(default_factory=list)

    @field_validator("name")
    @classmethod
    def loud(cls, value: str) -> str:
        """Check a field alone."""
        return value.upper()

    @model_validator(mode="before")
    @classmethod
    def all_before(cls, values: Any) -> Any:
        """Fail: not every field is there."""
        raise AssertionError

    @model_validator(mode="after")
    def all_after(self) -> Checked:
        """Fail likewise."""
        raise AssertionError


def test_fields_are_validated_one_by_one_and_the_class_is_not() -> None:
    rows = [{"name": "ab", "copied": 7, "more": 1}, {"name": None, "copied": None}]
    first, second = partial_documents(Checked, ("copied", "name"), rows)
    assert (vars(first), vars(second)) == ({"copied": 7, "name": "AB"}, {"copied": 5, "name": "none"})
    assert (first.model_fields_set, second.model_fields_set) == ({"copied", "name"}, set())
    assert repr(first) == "Checked(copied=7, name='AB')"
    assert first._seen == []
    assert first._seen is not second._seen
    with pytest.raises(AttributeError, match="notes"):
        _ = first.notes
    with pytest.raises(ValidationError, match=r"1 validation error for Checked\nname\n"):
        partial_documents(Checked, ("name",), [{"name": "a"}])


def test_what_is_unchecked_is_what_the_row_holds() -> None:
    (document,) = partial_documents(Checked, ("notes", "name"), [{"name": 5, "notes": None}], frozenset(["name"]))
    assert vars(document) == {"notes": {}, "name": 5}
    assert document.model_fields_set == {"notes", "name"}
