"""The sync face: documents whose methods block the calling thread."""

from __future__ import annotations

from coodie.connections import init_coodie
from coodie.sync.document import CounterDocument, Document
from coodie.sync.query import QuerySet
from coodie.sync.raw import create_keyspace, drop_keyspace, execute_raw

__all__ = [
    "CounterDocument",
    "Document",
    "QuerySet",
    "create_keyspace",
    "drop_keyspace",
    "execute_raw",
    "init_coodie",
]
