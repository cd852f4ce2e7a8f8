"""
The states of pages as users carry them about: sealed, so that one that was torn on the way is not sent.

Rules that live here: a state the server cannot read makes cassandra-driver close its connections, and with them the
statements of everybody else; and it often comes back from a URL. The seal finds mistakes, it is no signature.
"""

from __future__ import annotations

from zlib import crc32

from coodie.exceptions import InvalidQueryError
from coodie.statement import Rows

_SEAL_BYTES = 4


def sealed(page: Rows) -> Rows:
    """Return a page with the state of the next one sealed, if there is a next one."""
    state = page.paging_state
    return page if state is None else Rows(page.items, state + _seal(state))


def unsealed(state: bytes | None) -> bytes | None:
    """Return what the server gave as a state; InvalidQueryError where it is not one that we gave."""
    if state is None:
        return None
    given = state[:-_SEAL_BYTES]
    if state[-_SEAL_BYTES:] != _seal(given):
        raise InvalidQueryError("paging_state is not one that this query gave; nothing was sent")
    return given


def _seal(state: bytes) -> bytes:
    return crc32(state).to_bytes(_SEAL_BYTES, "big")
