"""What the packages offer by name, and what importing them drags in: each case in a fresh interpreter."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import coodie

MARKERS = (
    "Ascii BigInt ClusteringKey Counter Double Duration Frozen Indexed PrimaryKey SmallInt Static Time TimeUUID "
    "TinyInt VarInt"
)
ERRORS = "CoodieError ConfigurationError DocumentNotFound InvalidQueryError MigrationError MultipleDocumentsFound"
LEAVES = "DriverError NotApplied MaybeApplied Rejected RowRejected TableRejected"
FACE = "CounterDocument Document QuerySet create_keyspace drop_keyspace execute_raw init_coodie"
DRIVERS = "AbstractDriver LazyDriver get_driver init_coodie init_coodie_async register_driver"

# module -> its names: section 1 of the API page, without what its section 12 puts off
PUBLIC = {
    "coodie": f"{FACE} {ERRORS} {LEAVES} {MARKERS} BatchQuery AsyncBatchQuery CqlDuration LWTResult PagedResult "
    "__version__",
    "coodie.sync": f"{FACE} BatchQuery",
    "coodie.aio": f"{FACE} AsyncBatchQuery",
    "coodie.sync.document": "CounterDocument Document",
    "coodie.aio.document": "CounterDocument Document",
    "coodie.sync.query": "QuerySet",
    "coodie.aio.query": "QuerySet",
    "coodie.fields": MARKERS,
    "coodie.exceptions": f"{ERRORS} {LEAVES}",
    "coodie.results": "LWTResult PagedResult",
    "coodie.batch": "BatchQuery AsyncBatchQuery",
    "coodie.drivers": DRIVERS,
    "coodie.drivers.cassandra": "CassandraDriver",
    "coodie.drivers.acsylla": "AcsyllaDriver",
    "coodie.drivers.lazy": "LazyDriver",
    "coodie.types": "CqlDuration python_type_to_cql_type_str coerce_row_none_collections",
    "coodie.schema": "ColumnDefinition build_schema",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_there(module: str) -> None:
    found = importlib.import_module(module)
    missing = [name for name in PUBLIC[module].split() if not hasattr(found, name)]
    assert missing == []
    namespace: dict[str, object] = {}
    exec(f"from {module} import {', '.join(PUBLIC[module].split())}", namespace)


@pytest.mark.parametrize("module", ["coodie", "coodie.sync", "coodie.aio", "coodie.drivers"])
def test_names_that_are_imported_late_are_listed_and_no_others(module: str) -> None:
    found = importlib.import_module(module)
    assert {*PUBLIC[module].split()} <= {*found.__all__} <= {*dir(found), "__version__"}
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'no_such_name'"):
        found.no_such_name  # noqa: B018 - the look-up is the test
    namespace: dict[str, object] = {}
    exec(f"from {module} import *", namespace)
    assert {*found.__all__} <= {*namespace}


def test_names_are_the_same_objects_wherever_they_come_from() -> None:
    from coodie import aio, batch, exceptions, fields, results
    from coodie.aio import document, query

    assert coodie.Document is aio.Document is document.Document
    assert coodie.QuerySet is aio.QuerySet is query.QuerySet
    assert coodie.AsyncBatchQuery is aio.AsyncBatchQuery is batch.AsyncBatchQuery
    assert coodie.Time is fields.Time
    assert coodie.NotApplied is exceptions.NotApplied
    assert coodie.LWTResult is results.LWTResult


def said(program: str) -> list[str]:
    """Return the words a program prints, run by a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


LOADED = "import sys; print(*(name for name in {watched!r} if name in sys.modules))"
HEAVY = (
    "asyncio",
    "ssl",
    "logging",
    "sqlite3",
    "msgspec",
    "ctypes",
    "subprocess",
    "cassandra",
    "acsylla",
    "aggregator",
)


@pytest.mark.parametrize("module", ["coodie", "coodie.sync", "coodie.aio"])
def test_importing_a_package_imports_nothing_it_offers(module: str) -> None:
    assert said(f"import {module}; {LOADED.format(watched=('pydantic', 'coodie.schema', *HEAVY))}") == []


@pytest.mark.parametrize("face", ["sync", "aio"])
def test_the_classes_of_a_face_import_no_driver_and_nothing_for_event_loops(face: str) -> None:
    program = f"from coodie.{face} import *; from coodie.fields import *; {LOADED.format(watched=HEAVY)}"
    assert said(program) == []


@pytest.mark.parametrize(("ours", "other"), [("sync", "aio"), ("aio", "sync")])
def test_a_face_does_not_import_the_other(ours: str, other: str) -> None:
    assert said(f"from coodie.{ours} import *; {LOADED.format(watched=(f'coodie.{other}',))}") == []


@pytest.mark.parametrize(
    "module", ["fields", "exceptions", "results", "drivers", "aio", "sync", "types", "schema", "batch"]
)
def test_a_module_below_is_reached_through_the_package(module: str) -> None:
    assert said(f"import coodie; print(coodie.{module}.__name__)") == [f"coodie.{module}"]


def test_the_modules_of_a_face_are_reached_through_it() -> None:
    program = (
        "import coodie.sync, coodie.aio; print(coodie.sync.document.Document.__module__, coodie.aio.query.__name__)"
    )
    assert said(program) == ["coodie.sync.document", "coodie.aio.query"]


def test_opening_a_driver_imports_that_one_alone() -> None:
    program = "from coodie.sync import init_coodie; init_coodie(driver_type='sqlite', database=':memory:').close()"
    assert said(f"{program}; {LOADED.format(watched=('cassandra', 'acsylla'))}") == []
