"""
coodie: pydantic models as tables of Cassandra, ScyllaDB or the embedded SQLite store.

Rules that live here: public names only, each imported at its first use, so that importing one face stays cheap. What
exists once per face is here in its aio flavour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coodie.late import names

if TYPE_CHECKING:
    from coodie import aio, batch, drivers, exceptions, fields, results, schema, sync, types  # noqa: F401 - attributes
    from coodie.aio import CounterDocument, Document, QuerySet, create_keyspace, drop_keyspace, execute_raw, init_coodie
    from coodie.batch import AsyncBatchQuery, BatchQuery
    from coodie.exceptions import (
        ConfigurationError,
        CoodieError,
        DocumentNotFound,
        DriverError,
        InvalidQueryError,
        MaybeApplied,
        MigrationError,
        MultipleDocumentsFound,
        NotApplied,
        Rejected,
        RowRejected,
        TableRejected,
    )
    from coodie.fields import (
        Ascii,
        BigInt,
        ClusteringKey,
        Counter,
        Double,
        Duration,
        Frozen,
        Indexed,
        PrimaryKey,
        SmallInt,
        Static,
        Time,
        TimeUUID,
        TinyInt,
        VarInt,
    )
    from coodie.results import LWTResult, PagedResult
    from coodie.types import CqlDuration

    __version__: str

__all__ = [
    "Ascii",
    "AsyncBatchQuery",
    "BatchQuery",
    "BigInt",
    "ClusteringKey",
    "ConfigurationError",
    "CoodieError",
    "Counter",
    "CounterDocument",
    "CqlDuration",
    "Document",
    "DocumentNotFound",
    "Double",
    "DriverError",
    "Duration",
    "Frozen",
    "Indexed",
    "InvalidQueryError",
    "LWTResult",
    "MaybeApplied",
    "MigrationError",
    "MultipleDocumentsFound",
    "NotApplied",
    "PagedResult",
    "PrimaryKey",
    "QuerySet",
    "Rejected",
    "RowRejected",
    "SmallInt",
    "Static",
    "TableRejected",
    "Time",
    "TimeUUID",
    "TinyInt",
    "VarInt",
    "__version__",
    "create_keyspace",
    "drop_keyspace",
    "execute_raw",
    "init_coodie",
]

_HOMES = ("coodie.exceptions", "coodie.fields", "coodie.results", "coodie.types", "coodie.aio", "coodie.batch")
_MODULES = ("aio", "batch", "drivers", "exceptions", "fields", "results", "schema", "sync", "types")

if not TYPE_CHECKING:  # a type checker would take any name for one of ours
    _get, __dir__ = names(__name__, __all__, _HOMES, modules=_MODULES)

    def __getattr__(name: str) -> Any:
        return _installed_version() if name == "__version__" else _get(name)


def _installed_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("coodie-aggregator")
    except PackageNotFoundError:
        return "unknown"
