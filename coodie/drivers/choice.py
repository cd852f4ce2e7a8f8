"""
Which driver a call of ``init_coodie`` means, from its arguments and the environment.

Rules that live here:

* The call wins over the environment; the environment fills what the call leaves out. The one exception is
  ``COODIE_DRIVER=sqlite``, which moves a program to the embedded store although its call names hosts.
* The embedded store is used when it is named (``driver_type="sqlite"``, ``database=``, ``COODIE_DRIVER``), or when
  nothing at all says where the database is; hosts, or a keyspace alone, always mean a server.
* With a server and no driver named: the sync face takes cassandra-driver or scylla-driver, else acsylla; the async face
  acsylla, else the former. A session given is of the driver that made it.
* Nothing is imported, opened or logged here: what the user ought to know comes back as ``notices``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

from coodie.exceptions import ConfigurationError

Module = Literal["cassandra", "acsylla", "sqlite"]

MODULES: dict[str, Module] = {
    "scylla": "cassandra",  # one client API, two packages
    "cassandra": "cassandra",
    "acsylla": "acsylla",
    "sqlite": "sqlite",
}
DATABASE = "coodie.db"
PACKAGES = {"scylla": "scylla-driver", "cassandra": "cassandra-driver", "acsylla": "acsylla"}


@dataclass(frozen=True)
class Choice:
    """The driver to open and what to open it with; ``notices`` are warnings for the user."""

    module: Module
    hosts: list[Any] | None = None
    session: Any = None
    keyspace: str | None = None
    port: int | None = None
    database: str = DATABASE
    notices: list[str] = field(default_factory=list)


def is_installed(package: str) -> bool:
    """Return whether an import package is installed."""
    return find_spec(package) is not None


def choose(
    given: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    native_async: bool,
    installed: Callable[[str], bool] = is_installed,
) -> Choice:
    """
    Return the choice for a call: ``given`` holds hosts, session, keyspace, driver_type, port and database (or None).

    Raises ConfigurationError for an unknown or contradictory option, ImportError for a package that is missing.
    """
    session, database = given["session"], given["database"]
    from_environment = {name: environment.get(f"COODIE_{name.upper()}") or None for name in _FROM_ENVIRONMENT}
    named = _named(given["driver_type"], "driver_type")
    if named is None and session is None and database is None:
        named = _named(from_environment["driver"], "COODIE_DRIVER")
    keyspace = given["keyspace"] or from_environment["keyspace"]
    hosts = _hosts(given["hosts"]) or _hosts(from_environment["hosts"])

    if named is None and database is not None:
        _refuse_server_options(given)
        named = "sqlite"
    if named == "sqlite" or (named is None and hosts is None and session is None and keyspace is None):
        return _embedded(given, database or from_environment["database"], by_name=named is not None)
    if database is not None:
        raise ConfigurationError(f"database={database!r} is an option of driver_type='sqlite', not of {named!r}.")
    if session is not None:
        return Choice(MODULES[named] if named else _made_by(session), session=session, keyspace=keyspace)
    name = _available(named, native_async, installed)
    if hosts is None and named != "acsylla":
        hosts = ["127.0.0.1"]
    return Choice(MODULES[name], hosts=hosts, keyspace=keyspace, port=_port(given["port"], from_environment["port"]))


_FROM_ENVIRONMENT = ("hosts", "port", "keyspace", "driver", "database")


def _named(name: str | None, where: str) -> str | None:
    """Return the name of a driver as it was given, checked."""
    if name is None or name in MODULES:
        return name
    supported = ", ".join(repr(known) for known in MODULES)
    said = f"Unknown driver_type={name!r}" + ("" if where == "driver_type" else f" (from {where})")
    raise ConfigurationError(f"{said}. Supported: {supported}.")


def _hosts(hosts: Any) -> list[Any] | None:
    """Return hosts as a list: a text is split at commas; None for none."""
    if isinstance(hosts, str):
        hosts = [host.strip() for host in hosts.split(",") if host.strip()]
    return list(hosts) if hosts else None


def _port(given: Any, from_environment: str | None) -> int | None:
    """Return the port of the call or of the environment, checked; None for the driver's own default."""
    port, where = (given, "port") if given is not None else (from_environment, "COODIE_PORT")
    if port is None:
        return None
    try:
        number = int(port)
    except (TypeError, ValueError):
        number = 0
    if not 0 < number < 65536:
        raise ConfigurationError(f"{where}={port!r} is no port: a number from 1 to 65535 is allowed.")
    return number


def _refuse_server_options(given: Mapping[str, Any]) -> None:
    """Refuse ``database=`` beside options that only a server has."""
    beside = [name for name in ("hosts", "session") if given[name] is not None]
    if beside:
        raise ConfigurationError(
            f"database={given['database']!r} means the embedded store and {beside[0]}= a server; give one of them."
        )


def _embedded(given: Mapping[str, Any], database: str | None, *, by_name: bool) -> Choice:
    """Return the choice of the embedded store, with what it ignores or how it came to be chosen."""
    path = str(database or DATABASE)
    notices = []
    ignored = [f"{name}={given[name]!r}" for name in ("hosts", "port") if given[name] is not None]
    if given["session"] is not None:
        ignored.append("session=...")
    if not by_name:
        notices.append(f"No hosts, session, keyspace or driver is configured: using the embedded store at {path}")
    elif ignored:
        notices.append(f"The embedded store at {path} is used; it ignores {', '.join(ignored)}")
    return Choice("sqlite", database=path, notices=notices)


def _made_by(session: Any) -> Module:
    """Return the driver of a session, by the package its class comes from."""
    return "acsylla" if type(session).__module__.split(".")[0] == "acsylla" else "cassandra"


def _available(named: str | None, native_async: bool, installed: Callable[[str], bool]) -> str:
    """Return the driver to use for a server, its package being installed."""
    if named is not None:
        if not installed(MODULES[named]):
            package = PACKAGES[named]
            raise ImportError(f"driver_type={named!r} needs the package {package}: pip install {package}", name=package)
        return named
    for name in ("acsylla", "cassandra") if native_async else ("cassandra", "acsylla"):
        if installed(name):
            return name
    raise ImportError(
        "No driver for Cassandra or ScyllaDB is installed: pip install cassandra-driver "
        "(or pip install scylla-driver, or pip install acsylla)",
        name="cassandra-driver",
    )
