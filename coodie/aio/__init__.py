"""The aio face: documents whose methods are awaited, on any event loop."""

from __future__ import annotations

from coodie.aio.document import CounterDocument, Document
from coodie.aio.query import QuerySet
from coodie.aio.raw import create_keyspace, drop_keyspace, execute_raw
from coodie.connections import init_coodie_async as init_coodie

__all__ = [
    "CounterDocument",
    "Document",
    "QuerySet",
    "create_keyspace",
    "drop_keyspace",
    "execute_raw",
    "init_coodie",
]
