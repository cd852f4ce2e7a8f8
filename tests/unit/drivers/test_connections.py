"""Opening by call and environment, and what a class resolves to; on the embedded store and on drivers of users."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import MagicMock

import pytest

from coodie import connections, counters, drivers
from coodie.drivers import AbstractDriver, LazyDriver, get_driver, register_driver, registry
from coodie.drivers.adapter import TextDriverAdapter
from coodie.drivers.sqlite import SQLiteDriver
from coodie.exceptions import ConfigurationError, InvalidQueryError, MaybeApplied, RowRejected, TableRejected
from coodie.fields import PrimaryKey
from coodie.schema import Column, Table
from coodie.statement import Fate, Outcome, Raw, Rows, Select, Statement
from coodie.sync import Document


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "_registry", registry.Registry())
    monkeypatch.setattr(drivers, "_default_driver_name", None)
    for name in ("HOSTS", "PORT", "KEYSPACE", "DRIVER", "DATABASE"):
        monkeypatch.delenv(f"COODIE_{name}", raising=False)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path / "hits.db")
    for driver in list(drivers._registry.values()):
        if isinstance(driver, SQLiteDriver):
            driver.close()


class Page(Document):
    url: Annotated[str, PrimaryKey()]


class Elsewhere(Document):
    url: Annotated[str, PrimaryKey()]

    class Settings:
        connection = "other"
        keyspace = "archive"


class TextOnly:
    """The least a user's driver may be."""

    _default_keyspace = "web"

    def __init__(self, rows: Any = ()) -> None:
        self.calls: list[tuple[str, list[Any]]] = []
        self.rows = rows

    def execute(self, text: str, params: list[Any]) -> Any:
        self.calls.append((text, params))
        if isinstance(self.rows, Exception):
            raise self.rows
        return self.rows


def a_statement(text: str = "SELECT ?", *values: Any, **options: Any) -> Statement:
    return Statement(Raw(text), values, lambda shape: text, **options)


def test_the_embedded_store_is_registered_as_the_default(database: str) -> None:
    driver = connections.init_coodie(driver_type="sqlite", database=database, name="store")
    assert isinstance(driver, SQLiteDriver)
    assert get_driver() is get_driver("store") is driver
    assert asyncio.run(connections.init_coodie_async(database=database)) is get_driver() is get_driver("default")


def test_with_nothing_configured_one_warning_names_the_file(
    database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("COODIE_DATABASE", database)
    with caplog.at_level(logging.WARNING, "coodie"):
        connections.init_coodie()
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert database in record.getMessage()


def test_the_guides_line_runs_on_the_embedded_store_by_environment(
    database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("COODIE_DRIVER", "sqlite")
    monkeypatch.setenv("COODIE_DATABASE", database)
    connections.init_coodie(hosts=["127.0.0.1"], keyspace="my_ks")
    assert isinstance(get_driver(), SQLiteDriver)
    assert "ignores hosts" in caplog.text


def test_options_of_another_driver_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="ssl_enabled: not an option of the cassandra driver"):
        connections.init_coodie(hosts=["h"], driver_type="cassandra", ssl_enabled=True)
    with pytest.raises(ConfigurationError, match="ssl_context: not an option of the acsylla driver"):
        asyncio.run(connections.init_coodie_async(hosts=["h"], driver_type="acsylla", ssl_context=object()))


@pytest.mark.parametrize("native_async", [False, True])
@pytest.mark.parametrize("option", ["databse", "ssl_context", "ssl_enabled", "compression", "auth_provider"])
def test_the_embedded_store_has_no_option_but_its_database(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str, native_async: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    for environment, where in ((None, {"driver_type": "sqlite"}), ("sqlite", {"hosts": ["127.0.0.1"]})):
        if environment:
            monkeypatch.setenv("COODIE_DRIVER", environment)
        given: Any = {option: "x", **where}
        with pytest.raises(ConfigurationError, match=f"^{option}=: not an option of the embedded store .*database="):
            if native_async:
                asyncio.run(connections.init_coodie_async(**given))
            else:
                connections.init_coodie(**given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("native_async", [False, True])
def test_acsylla_without_hosts_says_what_it_requires(native_async: bool) -> None:
    with pytest.raises(ConfigurationError, match=r"^AcsyllaDriver requires"):
        if native_async:
            asyncio.run(connections.init_coodie_async(driver_type="acsylla"))
        else:
            connections.init_coodie(driver_type="acsylla")


NO_ADDRESS = [
    (["nosuch.host.invalid"], "'nosuch.host.invalid'; correct the names in hosts=."),
    (
        ["10.0.0.5:9042", "db:9"],
        "'10.0.0.5:9042', 'db:9'; the port goes into port=, as in hosts=['10.0.0.5'], port=9042.",
    ),
]


@pytest.mark.parametrize(("hosts", "told"), NO_ADDRESS)
def test_hosts_without_an_address_are_named(hosts: list[str], told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        connections.init_coodie(hosts=hosts, driver_type="cassandra")
    assert str(refused.value) == f"Cannot connect to Cassandra: no address was found for {told}"


def test_a_lazy_driver_connects_at_first_use() -> None:
    driver = connections.init_coodie(hosts=["127.0.0.1"], port=1, keyspace="web", lazy=True, compression=True)
    assert isinstance(driver, LazyDriver)
    assert connections.resolve(Page)[1].full_name == "web.page"
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"Cannot connect to Cassandra at 127\.0\.0\.1:1"):
            driver.submit(a_statement())
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:1"):
        asyncio.run(driver.submit_async(a_statement()))
    driver.close()
    asyncio.run(driver.close_async())


def test_a_lazy_driver_forgets_a_table_that_is_refused(database: str) -> None:
    lazy = LazyDriver(lambda: SQLiteDriver(database))
    lazy._known_tables["hits"] = frozenset({"url"})
    hits = Table("hits", (Column("url", "text", partition_index=0),))
    with pytest.raises(TableRejected):
        lazy.submit(Statement(Select(hits)))
    assert lazy._known_tables == {}
    lazy.close()


def test_a_lazy_driver_is_opened_once_and_passes_everything_on(database: str) -> None:
    opened: list[SQLiteDriver] = []

    def opening() -> SQLiteDriver:
        opened.append(SQLiteDriver(database))
        return opened[-1]

    driver = LazyDriver(opening)
    driver.submit(a_statement("SELECT 1"))
    asyncio.run(driver.submit_async(a_statement("SELECT 1")))
    driver.execute_many([], 1, lambda index, outcome: None)
    assert len(opened) == 1
    driver.close()
    driver.submit(a_statement("SELECT 1"))
    assert len(opened) == 2
    asyncio.run(driver.close_async())


def test_a_class_resolves_to_its_connection_and_qualified_table() -> None:
    main, other = TextOnly(), TextOnly()
    register_driver("main", main)
    register_driver("other", other)
    driver, table = connections.resolve(Page)
    assert isinstance(driver, TextDriverAdapter)
    assert (driver.adapted, table.full_name) == (main, "web.page")
    assert connections.resolve(Page) == (driver, table)
    assert connections.resolve(Page)[1] is table
    driver, table = connections.resolve(Elsewhere)
    assert isinstance(driver, TextDriverAdapter)
    assert (driver.adapted, table.full_name) == (other, "archive.elsewhere")
    assert (connections.connection_name(Page), connections.connection_name(Elsewhere)) == ("main", "other")


def test_the_embedded_store_needs_no_keyspace(database: str) -> None:
    driver = connections.init_coodie(database=database)
    assert connections.resolve(Page)[0] is driver
    assert connections.resolve(Page)[1].full_name == "page"


def test_without_a_keyspace_or_a_driver_it_says_so() -> None:
    with pytest.raises(ConfigurationError, match="No coodie driver registered"):
        connections.resolve(Page)
    driver = TextOnly()
    driver._default_keyspace = ""
    register_driver("main", driver)
    with pytest.raises(InvalidQueryError, match="No keyspace configured for Page"):
        connections.resolve(Page)


def test_whatever_changes_the_registry_is_noticed() -> None:
    first, second = TextOnly(), TextOnly()
    register_driver("main", first)
    assert connections.driver_of("main") is not None

    def resolved() -> Any:
        driver = connections.resolve(Page)[0]
        assert isinstance(driver, TextDriverAdapter)
        return driver.adapted

    assert resolved() is first
    register_driver("main", second)
    assert resolved() is second
    drivers._registry.clear()
    with pytest.raises(ConfigurationError):
        connections.resolve(Page)
    register_driver("main", first)
    assert resolved() is first
    first._default_keyspace = "moved"
    assert connections.resolve(Page)[1].full_name == "moved.page"


def test_a_change_takes_compiled_increments_back() -> None:
    class Sink:
        def compiled(self, model: type[Any]) -> dict[str, Any]:
            return {"increment": lambda self, **deltas: None}

    class Hits:
        pass

    sink: Any = Sink()
    counters.install(sink)
    try:
        counters.adorn(Hits)
        assert "increment" in vars(Hits)
        register_driver("main", TextOnly())
        assert "increment" not in vars(Hits)
    finally:
        counters.remove(sink)


def test_a_text_driver_is_given_only_the_options_that_are_set() -> None:
    class Full(AbstractDriver):
        def execute(self, stmt: str, params: Any, **options: Any) -> list[dict[str, Any]]:
            self._last_paging_state = b"next"
            return [{"stmt": stmt, "params": params, **options}]

    adapter = TextDriverAdapter(Full())
    rows = adapter.submit(a_statement("SELECT ?", 1, timeout=2.0, fetch_size=10))
    assert rows == Rows([{"stmt": "SELECT ?", "params": [1], "timeout": 2.0, "fetch_size": 10}], b"next")
    assert adapter.submit(a_statement("SELECT 1")).paging_state is None
    plain = TextDriverAdapter(TextOnly([{"n": 1}]))
    assert asyncio.run(plain.submit_async(a_statement("SELECT 1"))).items == [{"n": 1}]


def test_a_mock_serves_as_a_driver() -> None:
    mock = MagicMock()
    mock.execute.return_value = [{"url": "/home"}]
    register_driver("default", mock)
    assert connections.driver_of().submit(a_statement("SELECT ?", 1)).items == [{"url": "/home"}]
    mock.execute.assert_called_once_with("SELECT ?", [1])


def test_what_a_users_driver_raises_is_of_unknown_fate_and_of_its_own_class() -> None:
    class Broken(Exception):
        pass

    adapter = TextDriverAdapter(TextOnly(Broken("wire cut")))
    with pytest.raises(Broken) as raised:
        adapter.submit(a_statement("UPDATE"))
    assert isinstance(raised.value, MaybeApplied)


def test_a_fan_out_over_a_text_driver_tells_each_outcome() -> None:
    told: list[tuple[int, Outcome]] = []
    template = a_statement("UPDATE ?")
    failures: list[Exception | None] = [
        None,
        RowRejected("bad key"),
        InvalidQueryError("bad call"),
        OSError("cut"),
        None,
    ]

    class Failing(TextOnly):
        def execute(self, text: str, params: list[Any]) -> Any:
            error = failures[params[0]]
            if error is not None:
                raise error
            return []

    work = ((template, (number,)) for number in range(5))
    TextDriverAdapter(Failing()).execute_many(work, 10, lambda index, outcome: told.append((index, outcome)))
    assert [index for index, _ in told] == list(range(5))
    fates = [Fate.APPLIED, Fate.REJECTED, Fate.REJECTED, Fate.UNKNOWN, Fate.APPLIED]
    assert [outcome.fate for _, outcome in told] == fates
