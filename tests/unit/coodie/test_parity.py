"""The two faces: the same names, signatures and docstrings, but for what is listed here."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

import coodie
from coodie import aio, batch, drivers, sync
from coodie.builders import QueryBuilder

PLAIN = {"find", "table_name", "increment", "decrement", "values_list", "select_token", "add"} | {
    name for name in vars(QueryBuilder) if not name.startswith("_")
}
"""What the aio face does at the call: nothing is sent, or (counters) a bad delta is refused before it is awaited."""

PAIRS = {
    "Document": (sync.Document, aio.Document),
    "CounterDocument": (sync.CounterDocument, aio.CounterDocument),
    "QuerySet": (sync.QuerySet, aio.QuerySet),
    "batch": (batch.BatchQuery, batch.AsyncBatchQuery),
    "functions": (sync, aio),
}
RENAMED = {"BatchQuery": "AsyncBatchQuery"}
OF_ONE_FACE = {
    "sync": {"lazy", "compression", "speculative_execution_policy"},  # of cassandra-driver, whose face this is
    "aio": {"ssl_enabled", "ssl_trusted_cert", "ssl_cert", "ssl_private_key", "ssl_verify_flags"},  # of acsylla
}
OTHERWISE = {"__iter__": "__aiter__", "__enter__": "__aenter__", "__exit__": "__aexit__"}
SYNC_ALONE = {"__len__"}  # cannot be awaited, count() can; the aio face refuses bool(), saying so

PAIRED = pytest.mark.parametrize(("left", "right"), PAIRS.values(), ids=list(PAIRS))


def public(owner: Any) -> set[str]:
    """Return the names of a module or class that are ours to keep: pydantic's are not."""
    names = owner.__all__ if inspect.ismodule(owner) else [name for name in dir(owner) if not name.startswith("_")]
    return {name for name in names if callable(getattr(owner, name)) and not hasattr(BaseModel, name)}


def functions(owner: Any) -> dict[str, Callable[..., Any]]:
    found = {name: getattr(owner, name) for name in public(owner)}
    return {name: value for name, value in found.items() if not inspect.isclass(value)}


def parameters(function: Any) -> list[tuple[str, Any, Any, Any]]:
    found = inspect.signature(function).parameters.values()
    return [(parameter.name, parameter.kind, parameter.default, parameter.annotation) for parameter in found]


@PAIRED
def test_both_faces_have_the_same_names(left: Any, right: Any) -> None:
    assert {RENAMED.get(name, name) for name in public(left)} == public(right)


@PAIRED
def test_both_faces_have_the_same_signatures(left: Any, right: Any) -> None:
    others = functions(right)
    for name, function in functions(left).items():
        if name == "init_coodie":
            continue
        ours, theirs = inspect.signature(function), inspect.signature(others[name])
        assert parameters(function) == parameters(others[name]), name
        awaited = f"Awaitable[{ours.return_annotation}]" if name in ("increment", "decrement") else None
        assert theirs.return_annotation in (ours.return_annotation, awaited), name


def test_connecting_differs_by_the_options_of_one_client_alone() -> None:
    ours, theirs = ({each[0]: each for each in parameters(face.init_coodie)} for face in (sync, aio))
    assert set(ours) - set(theirs) == OF_ONE_FACE["sync"]
    assert set(theirs) - set(ours) == OF_ONE_FACE["aio"]
    assert all(ours[name] == theirs[name] for name in ours.keys() & theirs.keys())
    assert (drivers.init_coodie, drivers.init_coodie_async) == (sync.init_coodie, aio.init_coodie)
    assert coodie.init_coodie is aio.init_coodie


@PAIRED
def test_everything_is_documented_on_both_faces(left: Any, right: Any) -> None:
    for owner in (left, right):
        for name in public(owner):
            assert inspect.getdoc(getattr(owner, name)), (owner, name)


def test_what_reaches_the_database_is_awaited_on_the_aio_face_alone() -> None:
    for kind in (aio.Document, aio.CounterDocument, aio.QuerySet, batch.AsyncBatchQuery):
        for name, function in functions(kind).items():
            if not _refuses(function):
                assert inspect.iscoroutinefunction(function) is (name not in PLAIN), (kind, name)
    for kind in (sync.Document, sync.CounterDocument, sync.QuerySet, batch.BatchQuery):
        assert not any(inspect.iscoroutinefunction(function) for function in functions(kind).values())
    for name, function in functions(aio).items():
        assert inspect.iscoroutinefunction(function), name


def _refuses(function: Any) -> bool:
    """Return whether a method only refuses: that is done at the call, on the aio face too."""
    return inspect.signature(function).return_annotation == "NoReturn"


def test_what_python_calls_by_itself_has_its_counterpart() -> None:
    for left, right in PAIRS.values():
        for ours, theirs in OTHERWISE.items():
            if not inspect.ismodule(left) and ours in vars(left):
                assert theirs in vars(right), (right, theirs)
                assert ours not in vars(right), (right, ours)
    assert not SYNC_ALONE & set(vars(aio.QuerySet))
    assert set(vars(sync.QuerySet)) >= SYNC_ALONE
