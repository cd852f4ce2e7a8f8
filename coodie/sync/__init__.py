"""The sync face: documents whose methods block the calling thread. Its names are imported at their first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coodie.late import names

if TYPE_CHECKING:
    from coodie.batch import BatchQuery
    from coodie.connections import init_coodie
    from coodie.sync import document, query  # noqa: F401 - attributes
    from coodie.sync.document import CounterDocument, Document
    from coodie.sync.query import QuerySet
    from coodie.sync.raw import create_keyspace, drop_keyspace, execute_raw

__all__ = [
    "BatchQuery",
    "CounterDocument",
    "Document",
    "QuerySet",
    "create_keyspace",
    "drop_keyspace",
    "execute_raw",
    "init_coodie",
]

_HOMES = ("coodie.sync.query", "coodie.sync.raw", "coodie.batch", "coodie.sync.document", "coodie.connections")

if not TYPE_CHECKING:  # a type checker would take any name for one of ours
    __getattr__, __dir__ = names(__name__, __all__, _HOMES, modules=("document", "query"))
