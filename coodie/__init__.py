"""
coodie: pydantic models as tables of Cassandra, ScyllaDB or the embedded SQLite store.

Rules that live here: public names only, each imported at its first use, so that importing one face stays cheap. What
exists once per face is here in its aio flavour.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coodie.aio import CounterDocument, Document, QuerySet, create_keyspace, drop_keyspace, execute_raw, init_coodie
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

    __version__: str

__all__ = [
    "Ascii",
    "BigInt",
    "ClusteringKey",
    "ConfigurationError",
    "CoodieError",
    "Counter",
    "CounterDocument",
    "Document",
    "DocumentNotFound",
    "Double",
    "DriverError",
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

_HOMES = ("coodie.exceptions", "coodie.fields", "coodie.results", "coodie.aio")
"""Where a name is looked for, the cheap modules first."""


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = _installed_version() if name == "__version__" else _found(name)
    globals()[name] = value
    return value


def _found(name: str) -> Any:
    return next(vars(home)[name] for home in map(import_module, _HOMES) if name in vars(home))


def _installed_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("coodie-aggregator")
    except PackageNotFoundError:
        return "unknown"


def __dir__() -> list[str]:
    return sorted(__all__)
