"""The store under test: every driver, each on both faces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coodie import drivers
from tests.contract.counting import page_hits
from tests.contract.stores import Store, close_store, fresh, open_store

KINDS = ["memory", "sqlite", "cassandra", "acsylla"]
SERVED = {"cassandra", "acsylla"}


def _marks(kind: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.cassandra] if kind in SERVED else []


STORES = [
    pytest.param((kind, face), id=f"{kind}-{face}", marks=_marks(kind)) for kind in KINDS for face in ("sync", "aio")
]


@pytest.fixture(scope="module")
def opened() -> Iterator[dict[tuple[str, str], Store]]:
    """Keep the stores of a module: opened when first asked for, closed after its last test."""
    stores: dict[tuple[str, str], Store] = {}
    yield stores
    for store in stores.values():
        close_store(store)


@pytest.fixture(params=STORES)
def store(
    request: pytest.FixtureRequest, opened: dict[tuple[str, str], Store], tmp_path_factory: pytest.TempPathFactory
) -> Store:
    """Give a store that is the default connection."""
    kind, face = request.param
    if request.param not in opened:
        options = _served(request) if kind in SERVED else _embedded(kind, tmp_path_factory.mktemp("store"))
        opened[request.param] = open_store(kind.replace("memory", "sqlite"), face, options)
    found = opened[request.param]
    drivers.register_driver("default", found.driver, default=True)
    return found


@pytest.fixture
def hits(store: Store) -> Any:
    """Give the guide's model on a table that the tests share: each counts urls of its own."""
    return store.once("hits", page_hits)


@pytest.fixture
def url() -> str:
    """Give a url no other test counts."""
    return fresh("/page")


def _served(request: pytest.FixtureRequest) -> dict[str, Any]:
    server, keyspace = request.getfixturevalue("cassandra"), request.getfixturevalue("keyspace")
    return {"hosts": list(server.hosts), "port": server.port, "keyspace": keyspace}


def _embedded(kind: str, folder: Path) -> dict[str, Any]:
    return {"database": ":memory:" if kind == "memory" else str(folder / "contract.db")}
