"""
Statements given as text, and keyspaces.

Rules that live here: the text goes out as it is, values bound to its ``?``; nothing is known of it, so no driver ever
sends it twice.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

from coodie.cql import render
from coodie.cql.quote import literal, object_name
from coodie.exceptions import InvalidQueryError
from coodie.statement import Raw, Rows, Statement


def execute(text: str, params: Sequence[Any] | None = None) -> Generator[Statement, Rows, list[dict[str, Any]]]:
    """Return the plan that sends a text and answers its rows; refuses at once what is no text or no list of values."""
    return _send(raw_statement(text, params))


def raw_statement(text: Any, params: Any) -> Statement:
    """Return the statement of a text and the values of its ``?``, both checked for what they are."""
    if not isinstance(text, str) or not text.strip(" ;\n\t"):
        raise InvalidQueryError(f"The text of a statement is wanted, not {text!r}; nothing was sent")
    if not text.isascii():
        _refuse_surrogates(text)
    if params is not None and (isinstance(params, str | bytes | Mapping) or not isinstance(params, Iterable)):
        raise InvalidQueryError(
            f"params takes a list of values, one for each ?, not {type(params).__name__}; nothing was sent"
        )
    return Statement(Raw(text), tuple(params or ()), render)


def _send(statement: Statement) -> Generator[Statement, Rows, list[dict[str, Any]]]:
    rows = yield statement
    return rows.items


def _refuse_surrogates(text: str) -> None:
    """Refuse a text that has no bytes, which each client would tell in a way of its own."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidQueryError(f"The text holds a lone surrogate, at sign {error.start}; nothing was sent") from None


def create_keyspace(
    keyspace: str, replication_factor: int, strategy: str, dc_replication_map: Mapping[str, int] | None
) -> Generator[Statement, Rows, Any]:
    """Return the plan that creates a keyspace; replicas per data centre make it a NetworkTopologyStrategy."""
    replication: dict[str, Any] = {"class": strategy, "replication_factor": _replicas(replication_factor)}
    if dc_replication_map:
        places = {place: _replicas(count) for place, count in dc_replication_map.items()}
        replication = {"class": "NetworkTopologyStrategy", **places}
    name = object_name(keyspace)
    return execute(f"CREATE KEYSPACE IF NOT EXISTS {name} WITH replication = {literal(replication)}")


def drop_keyspace(keyspace: str) -> Generator[Statement, Rows, Any]:
    """Return the plan that drops a keyspace and all its tables, if it exists."""
    return execute(f"DROP KEYSPACE IF EXISTS {object_name(keyspace)}")


def _replicas(count: Any) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise InvalidQueryError(f"A replication factor is an integer, 0 or more, not {count!r}; nothing was sent")
    return count
