"""
``increment_on_commit``: a count that comes true with the database transaction it belongs to.

Rules that live here: what would be refused is refused before the commit, for afterwards nobody could take it back; what
fails after it (``BufferFull``, a database away in ``mode="direct"``) is logged by Django and fails no request.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from asgiref.sync import async_to_sync
from django.db import transaction

from aggregator.awaitable import COMPLETED
from coodie.connections import resolve
from coodie.plans.counters import deltas_of, key_of


def increment_on_commit(document: Any, /, **deltas: int) -> None:
    """
    Increment counters once Django's transaction has committed; a rollback counts nothing.

    Outside a transaction it counts at once. ``document`` is of either face, and counted as it is now. The transaction
    is that of the default database; for another, and for ``decrement()``, give a call to Django's own
    ``transaction.on_commit``. For synchronous code, as Django's transactions are.

    Raises:
        InvalidQueryError: a name, a delta or the key is refused. Nothing is counted.
    """
    table = resolve(type(document))[1]
    deltas_of(table, deltas)
    key_of(document, table)
    transaction.on_commit(partial(_count, document.model_copy(), deltas), robust=True)


def _count(document: Any, deltas: dict[str, int]) -> None:
    waiting = document.increment(**deltas)
    if waiting is not None and waiting is not COMPLETED:
        async_to_sync(_done)(waiting)


async def _done(waiting: Any) -> None:
    await waiting
