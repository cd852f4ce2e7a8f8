"""Models as pydantic sees them, and rows as instances."""

from __future__ import annotations

import enum
import subprocess
import sys
from typing import Annotated
from uuid import UUID

import pytest
from pydantic import ValidationError

import coodie
from coodie import aio, sync
from coodie.fields import Counter, PrimaryKey
from coodie.model import document_of
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


@pytest.mark.parametrize("name", ["coodie.sync", "coodie.aio", "coodie"])
def test_importing_a_face_imports_no_driver(name: str) -> None:
    program = (
        f"import sys, {name}; print([m for m in ('cassandra', 'acsylla', 'sqlite3', 'aggregator') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
