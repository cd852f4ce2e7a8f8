"""
The mapper over a driver that costs next to nothing: ``save``, ``get`` and ``find().all()`` of either face.

Rules that live here: the argument is the name of a table; each line read is ``FACE OPERATION CALLS``; the answer is the
processor time of those calls in seconds, the construction of what is saved not counted. The driver is asked as the
mapper asks its own drivers: the peer by ``execute(text, params, ...)``, ours by ``submit(statement)``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from time import thread_time
from typing import Any

from coodie.drivers import AbstractDriver, register_driver

try:
    from coodie.statement import Rows
except ImportError:  # the peer: its drivers speak text alone
    Rows = None

sys.path.append(str(Path(__file__).parent))

from tables import TABLES

ROWS = 1_000
"""Rows that ``find().all()`` returns."""


class Stub(AbstractDriver):
    """A database that answers at once: one row where it is limited, all where it is not, nothing to a write."""

    needs_row_validation = False
    needs_keyspace = True
    _last_paging_state = None

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._default_keyspace = "ks"
        self._rows = rows
        self._row = rows[:1]

    def execute(
        self,
        stmt: str,
        params: Any,
        consistency: Any = None,
        timeout: Any = None,
        fetch_size: Any = None,
        paging_state: Any = None,
    ) -> list[dict[str, Any]]:
        """Answer a text of the peer."""
        return self._answer(stmt)

    async def execute_async(
        self,
        stmt: str,
        params: Any,
        consistency: Any = None,
        timeout: Any = None,
        fetch_size: Any = None,
        paging_state: Any = None,
    ) -> list[dict[str, Any]]:
        """Answer a text of the peer."""
        return self._answer(stmt)

    def execute_one(self, stmt: str, params: Any, consistency: Any = None, timeout: Any = None) -> Any:
        """Answer nothing."""

    async def execute_one_async(self, stmt: str, params: Any, consistency: Any = None, timeout: Any = None) -> Any:
        """Answer nothing."""

    def sync_table(self, *args: Any, **options: Any) -> list[str]:
        """Do nothing."""
        return []

    async def sync_table_async(self, *args: Any, **options: Any) -> list[str]:
        """Do nothing."""
        return []

    def submit(self, statement: Any) -> Any:
        """Answer a statement of ours."""
        return Rows(self._answer(statement.cql))

    async def submit_async(self, statement: Any) -> Any:
        """Answer a statement of ours."""
        return Rows(self._answer(statement.cql))

    def _answer(self, text: str) -> list[dict[str, Any]]:
        """Return rows as a client would make them, dicts of their own."""
        if not text.startswith("SELECT"):
            return []
        return [row.copy() for row in (self._row if "LIMIT" in text else self._rows)]

    def close(self) -> None:
        """Do nothing."""

    async def close_async(self) -> None:
        """Do nothing."""


def seconds(face: str, operation: str, calls: int) -> float:
    """Return the processor time of some calls."""
    product = model_of[face]
    documents = [product(**table.row(number)) for number in range(calls)] if operation == "save" else []
    block = _BLOCKS[face, operation]
    gc.collect()
    began = thread_time()
    block(product, documents, calls)
    return thread_time() - began


def _save(product: Any, documents: list[Any], calls: int) -> None:
    for document in documents:
        document.save()


def _get(product: Any, documents: list[Any], calls: int) -> None:
    key = table.key(0)
    for _ in range(calls):
        product.get(**key)


def _all(product: Any, documents: list[Any], calls: int) -> None:
    for _ in range(calls):
        assert len(product.find(**table.whole).all()) == ROWS


async def _save_async(product: Any, documents: list[Any], calls: int) -> None:
    for document in documents:
        await document.save()


async def _get_async(product: Any, documents: list[Any], calls: int) -> None:
    key = table.key(0)
    for _ in range(calls):
        await product.get(**key)


async def _all_async(product: Any, documents: list[Any], calls: int) -> None:
    for _ in range(calls):
        assert len(await product.find(**table.whole).all()) == ROWS


def _driven(block: Any) -> Any:
    """Return a function that runs an async block on a loop."""

    def run(*arguments: Any) -> None:
        waiting: Coroutine[Any, Any, None] = block(*arguments)
        runner.run(waiting)

    return run


_BLOCKS = {
    ("sync", "save"): _save,
    ("sync", "get"): _get,
    ("sync", "all"): _all,
    ("aio", "save"): _driven(_save_async),
    ("aio", "get"): _driven(_get_async),
    ("aio", "all"): _driven(_all_async),
}

if __name__ == "__main__":
    table = TABLES[sys.argv[1]]
    register_driver("default", Stub([table.row(number) for number in range(ROWS)]), default=True)
    model_of = {face: table.model(face) for face in ("sync", "aio")}
    with asyncio.Runner() as runner:
        gc.freeze()  # what was loaded so far is not to be collected again and again
        for line in sys.stdin:
            face, operation, calls = line.split()
            print(json.dumps(seconds(face, operation, int(calls))), flush=True)
