"""
The states of pages as users carry them about: sealed for their query, so that no other one is sent.

Rules that live here:

* A state the server cannot read costs everybody their connection (cassandra-driver) or seconds (acsylla), and a state
  often comes back from a URL. So one that was torn, or that another query gave, is refused here.
* A query is its text and its values. The columns it answers are left out: they may change from page to page. Values
  count in any order, since that of a set is another one in each process.
* The seal finds mistakes, it is no signature.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Any

from coodie.exceptions import InvalidQueryError
from coodie.statement import Rows, Select, Statement

_SEAL_BYTES = 8


def sealed(page: Rows, statement: Statement) -> Rows:
    """Return a page of a statement with the state of the next one sealed, if there is a next one."""
    state = page.paging_state
    return page if state is None else Rows(page.items, state + _seal(state, statement))


def unsealed(statement: Statement) -> bytes | None:
    """Return a statement's paging state as the server gave it; InvalidQueryError where this query did not give it."""
    state = statement.paging_state
    if state is None:
        return None
    given = state[:-_SEAL_BYTES]
    if state[-_SEAL_BYTES:] != _seal(given, statement):
        raise InvalidQueryError(
            "paging_state is not one that this query gave: it belongs to another query, or was changed on the way; "
            "nothing was sent"
        )
    return given


def _seal(state: bytes, statement: Statement) -> bytes:
    shape = statement.shape
    text = statement.render(replace(shape, columns=()) if isinstance(shape, Select) else shape)
    query = f"{text}\0{[_spelled(value) for value in statement.values]}"
    return blake2b(state + query.encode(errors="replace"), digest_size=_SEAL_BYTES).digest()


def _spelled(value: Any) -> str:
    """Return the text of a value, the same in every process."""
    if isinstance(value, dict):
        value = list(value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(sorted(map(_spelled, value)))}]"
    return repr(value)
