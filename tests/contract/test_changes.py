"""Changes of columns on every store: parts of collections, what a type does not take, columns set null."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from pydantic import Field

from coodie.exceptions import CoodieError, InvalidQueryError
from coodie.fields import ClusteringKey, Frozen, PrimaryKey, SmallInt, VarInt
from tests.contract.stores import Store, fresh

ID, MOMENT = uuid4(), datetime(2024, 5, 1, 12, tzinfo=UTC)


def profiles(store: Store) -> Any:
    """Return a model with collections of every kind."""

    class Profile(store.face.Document):  # type: ignore[name-defined,misc]  # a face chosen at run time
        name: Annotated[str, PrimaryKey()]
        part: Annotated[int, ClusteringKey()] = 0
        skills: set[str] = Field(default_factory=set)
        steps: list[int] = Field(default_factory=list)
        marks: dict[str, int] = Field(default_factory=dict)
        sizes: set[Annotated[int, VarInt()]] = Field(default_factory=set)
        seen: dict[datetime, UUID] = Field(default_factory=dict)
        hosts: list[IPv4Address] = Field(default_factory=list)
        few: list[Annotated[int, SmallInt()]] = Field(default_factory=list)
        whole: Annotated[list[int], Frozen()] = Field(default_factory=list)
        title: str | None = None
        title__add: str | None = None

        class Settings:
            name = fresh("profiles")

    return Profile


@pytest.fixture
def profile(store: Store) -> Any:
    """Give the model; the tests share its table, each with rows of its own."""
    return store.once("profiles", profiles)


@pytest.fixture
def name() -> str:
    """Give a name no other test has."""
    return fresh("ann")


STEPS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"skills__add": {"go"}}, {"skills": {"c", "go", "py"}}),
    ({"skills__append": {"go", "c"}}, {"skills": {"c", "go", "py"}}),
    ({"skills__update": ["go"]}, {"skills": {"c", "go", "py"}}),
    ({"skills__add": set()}, {"skills": {"c", "py"}}),
    ({"skills__remove": {"c", "nothing"}}, {"skills": {"py"}}),
    ({"skills__remove": {"c", "py"}}, {"skills": set()}),
    ({"skills": set()}, {"skills": set()}),
    ({"steps__add": [3]}, {"steps": [1, 2, 1, 3]}),
    ({"steps__append": [3, 4]}, {"steps": [1, 2, 1, 3, 4]}),
    ({"steps__prepend": [8, 9]}, {"steps": [8, 9, 1, 2, 1]}),
    ({"steps__remove": [1]}, {"steps": [2]}),
    ({"steps__setindex": (1, 7)}, {"steps": [1, 7, 1]}),
    ({"steps": [5]}, {"steps": [5]}),
    ({"marks__add": {"b": 3, "c": 4}}, {"marks": {"a": 1, "b": 3, "c": 4}}),
    ({"marks__update": {"a": 5}}, {"marks": {"a": 5, "b": 2}}),
    ({"marks__put": ("c", 9)}, {"marks": {"a": 1, "b": 2, "c": 9}}),
    ({"marks__remove": {"a", "z"}}, {"marks": {"b": 2}}),
    ({"marks": {"z": 1}}, {"marks": {"z": 1}}),
    ({"sizes__add": {10**30}}, {"sizes": {10**30}}),
    ({"seen__put": (MOMENT, ID)}, {"seen": {MOMENT: ID}}),
    ({"seen__add": {MOMENT.replace(tzinfo=None): str(ID)}}, {"seen": {MOMENT: ID}}),
    ({"seen__remove": {MOMENT}}, {"seen": {}}),
    ({"hosts__prepend": ["10.0.0.1"]}, {"hosts": [IPv4Address("10.0.0.1")]}),
    ({"title__add": "kept"}, {"title__add": "kept"}),
    ({"skills__add": {"go"}, "steps__remove": [2], "title": "T"}, {"skills": {"c", "go", "py"}, "title": "T"}),
]


@pytest.mark.parametrize(("changes", "expected"), STEPS, ids=[" ".join(changes) for changes, _ in STEPS])
def test_collections_change_in_part(
    store: Store, profile: Any, name: str, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    saved = profile(name=name, skills={"c", "py"}, steps=[1, 2, 1], marks={"a": 1, "b": 2})
    store.do(saved.save())
    before = saved.model_copy(deep=True)
    assert store.do(saved.update(**changes)) is None
    read = store.do(profile.get(name=name))
    assert {column: getattr(read, column) for column in expected} == expected
    plain = {column: value for column, value in changes.items() if column in profile.model_fields}
    assert saved == before.model_copy(update=plain)  # what a part of a collection became is not known here


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"skills__add": {"go"}}, {"skills": {"go"}}),
        ({"steps__prepend": [1, 2]}, {"steps": [1, 2]}),
        ({"marks__put": ("a", 1)}, {"marks": {"a": 1}}),
        ({"marks__remove": {"a"}, "title": "T"}, {"marks": {}}),
    ],
)
def test_a_change_of_an_empty_collection_makes_one(
    store: Store, profile: Any, name: str, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    store.do(profile(name=name).save())
    store.do(profile(name=name).update(**changes))
    read = store.do(profile.get(name=name))
    assert {column: getattr(read, column) for column in expected} == expected


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"skills__add": "go"}, r"'skills' \(set<text>\) takes a set in 'add', not str"),
        ({"skills__add": None}, r"'skills' .*takes a set in 'add', not NoneType"),
        ({"skills__add": {1}}, r"'skills' .*takes str, not int"),
        ({"skills__add": {None}}, r"'skills' .*None"),
        ({"skills__prepend": {"go"}}, r"takes no 'prepend'"),
        ({"skills__put": ("go", 1)}, r"takes no 'put'"),
        ({"skills": "go"}, r"'skills' .*takes a set, not str"),
        ({"steps__append": {1}}, r"takes a list in 'append', not set"),
        ({"steps__append": "12"}, r"takes a list in 'append', not str"),
        ({"steps__append": [2**31]}, r"'steps' .*takes integers from"),
        ({"steps__append": [True]}, r"takes int, not bool"),
        ({"steps__setindex": (-1, 1)}, r"takes positions from 0"),
        ({"steps__setindex": (0, None)}, r"None"),
        ({"steps__setindex": 3}, r"takes a pair \(position, value\)"),
        ({"few__append": [40_000]}, r"takes integers from"),
        ({"marks__add": {"a"}}, r"takes a map in 'add', not set"),
        ({"marks__add": {"a": None}}, r"None"),
        ({"marks__put": (None, 1)}, r"None"),
        ({"marks__put": ("a", "1")}, r"takes int, not str"),
        ({"marks__prepend": {"a": 1}}, r"takes no 'prepend'"),
        ({"whole__append": [1]}, r"no collection that can be changed in part"),
        ({"part__add": 1}, r"'part' is part of the primary key"),
        ({"name": "bob"}, r"'name' is part of the primary key"),
        ({"title__remove": "x"}, r"no collection that can be changed in part"),
        ({"nothing__add": {1}}, r"Unknown column 'nothing'"),
        ({"add__skills": {"go"}}, r"Unknown column 'add__skills'"),
        ({"skills__add": {"go"}, "skills__remove": {"c"}}, r"'skills' is changed twice"),
        ({"skills__add": {"go"}, "skills": {"c"}}, r"'skills' is changed twice"),
    ],
)
def test_what_a_column_does_not_take_is_refused_and_nothing_is_sent(
    store: Store, profile: Any, name: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidQueryError, match=said) as caught:
        store.do(profile(name=name).update(**{"sizes": {1}, **changes}))
    assert "nothing was sent" in str(caught.value) or "Unknown column" in str(caught.value)
    assert store.do(profile.find_one(name=name)) is None


def test_a_position_beyond_the_list_is_refused_by_the_database(store: Store, profile: Any, name: str) -> None:
    store.do(profile(name=name, steps=[1]).save())
    with pytest.raises(CoodieError):
        store.do(profile(name=name).update(steps__setindex=(5, 1)))
    assert store.do(profile.get(name=name)).steps == [1]


def test_a_change_goes_with_a_condition(store: Store, profile: Any, name: str) -> None:
    saved = profile(name=name, skills={"c"}, title="first")
    store.do(saved.save())
    refused = store.do(saved.update(skills__add={"go"}, title="no", if_conditions={"title": "second"}))
    assert (refused.applied, refused.existing) == (False, {"title": "first"})
    assert saved.title == "first"
    assert store.do(saved.update(skills__add={"go"}, title="second", if_conditions={"title": "first"})).applied
    read = store.do(profile.get(name=name))
    assert (read.skills, read.title, saved.title) == ({"c", "go"}, "second", "second")
    assert not store.do(profile(name=fresh("none")).update(skills__add={"go"}, if_exists=True)).applied


def test_columns_and_elements_are_deleted(store: Store, profile: Any, name: str) -> None:
    saved = profile(name=name, skills={"c", "py"}, steps=[1, 2, 3], marks={"a": 1, "b": 2}, title="T")
    saved.sizes, saved.seen, saved.few = {10**30, 2}, {MOMENT: ID}, [1]
    store.do(saved.save())
    elements = [("skills", "c"), ("steps", 1), ("marks", "a"), ("sizes", 10**30), ("seen", MOMENT)]
    with pytest.warns(UserWarning, match=r"past the model and its migrations") as caught:
        assert store.do(saved.delete_columns("title", "few", collection_elements=elements)) is None
    read = store.do(profile.get(name=name))
    assert (read.skills, read.steps, read.marks) == ({"py"}, [1, 3], {"b": 2})
    assert (read.title, read.few, read.sizes, read.seen) == (None, [], {2}, {})
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("names", "elements", "said"),
    [
        (["nothing"], [], r"Unknown column 'nothing'"),
        (["part"], [], r"'part' is part of the primary key"),
        (["skills__add"], [], r"takes names of columns"),
        ([], [], r"at least one column"),
        ([], [("title", 1)], r"no collection that can be changed in part"),
        ([], [("steps", "a")], r"takes positions from 0"),
        ([], [("marks", 1)], r"takes str, not int"),
        ([], [("whole", 1)], r"no collection that can be changed in part"),
    ],
)
def test_deleting_what_is_no_column_is_refused(
    store: Store, profile: Any, name: str, names: list[str], elements: list[Any], said: str
) -> None:
    store.do(profile(name=name, title="T").save())
    with warnings.catch_warnings(), pytest.raises(InvalidQueryError, match=said):
        warnings.simplefilter("ignore")
        store.do(profile(name=name).delete_columns(*names, collection_elements=elements))
    assert store.do(profile.get(name=name)).title == "T"
