"""Which driver a call means, from its arguments and the environment."""

from __future__ import annotations

from typing import Any

import pytest

from coodie.drivers.choice import Choice, choose
from coodie.exceptions import ConfigurationError

OPTIONS = ("hosts", "session", "keyspace", "driver_type", "port", "database")


def chosen(
    environment: dict[str, str] | None = None,
    *,
    native_async: bool = False,
    packages: tuple[str, ...] = ("cassandra", "acsylla"),
    **given: Any,
) -> Choice:
    every = dict.fromkeys(OPTIONS) | given
    return choose(every, environment or {}, native_async=native_async, installed=lambda name: name in packages)


class AcsyllaSession:
    __module__ = "acsylla._cython.cyacsylla"


def test_nothing_given_is_the_embedded_store_with_a_warning_that_names_it() -> None:
    choice = chosen()
    assert (choice.module, choice.database) == ("sqlite", "coodie.db")
    assert len(choice.notices) == 1
    assert "coodie.db" in choice.notices[0]
    choice = chosen({"COODIE_DATABASE": "/data/hits.db"})
    assert (choice.module, choice.database) == ("sqlite", "/data/hits.db")
    assert "/data/hits.db" in choice.notices[0]


@pytest.mark.parametrize("given", [{"driver_type": "sqlite"}, {"database": ":memory:"}])
def test_the_embedded_store_by_name_needs_no_warning(given: dict[str, Any]) -> None:
    assert chosen(**given).notices == []


def test_the_embedded_store_by_environment_ignores_hosts_with_a_warning() -> None:
    environment = {"COODIE_DRIVER": "sqlite", "COODIE_DATABASE": "hits.db", "COODIE_HOSTS": "10.0.0.9"}
    choice = chosen(environment, hosts=["127.0.0.1"], keyspace="my_ks")
    assert (choice.module, choice.database, choice.hosts) == ("sqlite", "hits.db", None)
    assert len(choice.notices) == 1
    assert "ignores hosts=['127.0.0.1']" in choice.notices[0]


@pytest.mark.parametrize(
    ("given", "environment"),
    [
        ({"hosts": ["127.0.0.1"]}, {}),
        ({"keyspace": "web"}, {}),
        ({}, {"COODIE_HOSTS": "127.0.0.1"}),
        ({}, {"COODIE_KEYSPACE": "web"}),
        ({"keyspace": "web"}, {"COODIE_DATABASE": "hits.db"}),
    ],
)
def test_hosts_or_a_keyspace_alone_always_mean_a_server(given: dict[str, Any], environment: dict[str, str]) -> None:
    choice = chosen(environment, **given)
    assert (choice.module, choice.hosts, choice.notices) == ("cassandra", ["127.0.0.1"], [])
    with pytest.raises(ImportError, match="pip install cassandra-driver"):
        chosen(environment, packages=(), **given)


def test_the_environment_fills_what_the_call_leaves_out() -> None:
    environment = {
        "COODIE_HOSTS": "10.0.0.1, 10.0.0.2",
        "COODIE_PORT": "19042",
        "COODIE_KEYSPACE": "web",
        "COODIE_DRIVER": "acsylla",
    }
    choice = chosen(environment)
    assert choice == Choice("acsylla", hosts=["10.0.0.1", "10.0.0.2"], keyspace="web", port=19042)
    choice = chosen(environment, hosts="10.0.0.3", port=9042, keyspace="mine", driver_type="scylla")
    assert choice == Choice("cassandra", hosts=["10.0.0.3"], keyspace="mine", port=9042)


def test_an_empty_variable_is_unset() -> None:
    assert chosen({"COODIE_HOSTS": "", "COODIE_DRIVER": "", "COODIE_PORT": ""}).module == "sqlite"


@pytest.mark.parametrize(
    ("native_async", "packages", "module"),
    [
        (False, ("cassandra", "acsylla"), "cassandra"),
        (False, ("acsylla",), "acsylla"),
        (True, ("cassandra", "acsylla"), "acsylla"),
        (True, ("cassandra",), "cassandra"),
    ],
)
def test_each_face_takes_the_installed_driver_it_prefers(
    native_async: bool, packages: tuple[str, ...], module: str
) -> None:
    assert chosen(hosts=["h"], native_async=native_async, packages=packages).module == module


@pytest.mark.parametrize(
    ("name", "package"), [("scylla", "scylla-driver"), ("cassandra", "cassandra-driver"), ("acsylla", "acsylla")]
)
def test_a_missing_package_is_named_with_its_command(name: str, package: str) -> None:
    with pytest.raises(ImportError, match=f"needs the package {package}: pip install {package}$"):
        chosen(driver_type=name, hosts=["h"], packages=())


def test_acsylla_by_name_gets_no_default_host() -> None:
    assert chosen(driver_type="acsylla").hosts is None
    assert chosen(driver_type="cassandra").hosts == ["127.0.0.1"]


def test_a_session_is_of_the_driver_that_made_it_and_ignores_the_rest() -> None:
    session = AcsyllaSession()
    choice = chosen({"COODIE_DRIVER": "cassandra"}, session=session, hosts=["h"], port=1, keyspace="web")
    assert choice == Choice("acsylla", session=session, keyspace="web")
    assert chosen(session=object()).module == "cassandra"
    assert chosen(session=session, driver_type="cassandra").module == "cassandra"


@pytest.mark.parametrize("name", ["zz", "python-rs", "SQLite", ""])
def test_an_unknown_driver_is_refused_with_the_known_ones(name: str) -> None:
    expected = f"Unknown driver_type={name!r}. Supported: 'scylla', 'cassandra', 'acsylla', 'sqlite'."
    with pytest.raises(ConfigurationError) as refused:
        chosen(driver_type=name)
    assert str(refused.value) == expected


def test_an_unknown_driver_of_the_environment_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"'zz' \(from COODIE_DRIVER\)"):
        chosen({"COODIE_DRIVER": "zz"})


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1", "9042.5"])
def test_a_bad_port_names_the_variable_and_what_is_allowed(port: str) -> None:
    with pytest.raises(ConfigurationError, match=f"COODIE_PORT='{port}' is no port.*1 to 65535"):
        chosen({"COODIE_PORT": port}, hosts=["h"])


@pytest.mark.parametrize("beside", [{"hosts": ["h"]}, {"session": object()}, {"driver_type": "cassandra"}])
def test_a_database_beside_a_server_is_refused(beside: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"database='hits.db'"):
        chosen(database="hits.db", **beside)
