"""The aio face: documents whose methods are awaited, on any event loop. Its names are imported at their first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coodie.late import names

if TYPE_CHECKING:
    from coodie.aio import document, query  # noqa: F401 - attributes
    from coodie.aio.document import CounterDocument, Document
    from coodie.aio.query import QuerySet
    from coodie.aio.raw import create_keyspace, drop_keyspace, execute_raw, init_coodie
    from coodie.batch import AsyncBatchQuery

__all__ = [
    "AsyncBatchQuery",
    "CounterDocument",
    "Document",
    "QuerySet",
    "create_keyspace",
    "drop_keyspace",
    "execute_raw",
    "init_coodie",
]

_HOMES = ("coodie.aio.query", "coodie.aio.raw", "coodie.batch", "coodie.aio.document")

if not TYPE_CHECKING:  # a type checker would take any name for one of ours
    __getattr__, __dir__ = names(__name__, __all__, _HOMES, modules=("document", "query"))
