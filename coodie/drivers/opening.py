"""
Opening the driver that was chosen: the only place that imports the drivers' own modules.

Rules that live here: a driver's module, and with it the third-party package, is imported when it is opened. An option
of another driver is a ConfigurationError, never dropped in silence: an ``ssl_enabled`` that goes nowhere is plain text.
"""

from __future__ import annotations

from typing import Any

from coodie.drivers.choice import Choice
from coodie.exceptions import ConfigurationError

_OF_ACSYLLA = ("ssl_enabled", "ssl_trusted_cert", "ssl_cert", "ssl_private_key", "ssl_verify_flags")
_OF_CASSANDRA = ("ssl_context", "compression")


def driver_class(choice: Choice) -> Any:
    """Import the chosen driver's module and return its class; ImportError names a package that is missing."""
    if choice.module == "sqlite":
        from coodie.drivers.sqlite import SQLiteDriver

        return SQLiteDriver
    if choice.module == "acsylla":
        from coodie.drivers.acsylla import AcsyllaDriver

        return AcsyllaDriver
    from coodie.drivers.cassandra import CassandraDriver

    return CassandraDriver


def open_driver(choice: Choice, options: dict[str, Any]) -> Any:
    """Open the chosen driver and return it. Blocks; ConfigurationError where it cannot be opened."""
    kind = driver_class(choice)
    if choice.module == "sqlite":
        _refuse_all(options)
        return kind(choice.database)
    options = _checked(choice, options)
    if choice.session is not None:
        return kind(session=choice.session, default_keyspace=choice.keyspace)
    if choice.module == "acsylla":
        return kind.connect_sync(choice.hosts or [], choice.keyspace, **options)
    return kind.connect(choice.hosts, choice.keyspace, **options)


async def open_acsylla_async(choice: Choice, options: dict[str, Any]) -> Any:
    """Open acsylla on the running loop and return the driver; ConfigurationError where it cannot be opened."""
    kind = driver_class(choice)
    options = _checked(choice, options)
    if choice.session is not None:
        return kind(session=choice.session, default_keyspace=choice.keyspace)
    return await kind.connect_async(choice.hosts or [], choice.keyspace, **options)


def _refuse_all(options: dict[str, Any]) -> None:
    """Refuse every option of a server's driver: the embedded store has none."""
    given = [f"{name}=" for name, value in options.items() if value is not None]
    if given:
        raise ConfigurationError(
            f"{', '.join(given)}: not an option of the embedded store (which has database=); nothing was opened."
        )


def _checked(choice: Choice, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given, the port among them; refuse those of another driver."""
    given = {name: value for name, value in options.items() if value is not None}
    _refuse(given, _OF_CASSANDRA if choice.module == "acsylla" else _OF_ACSYLLA, choice)
    if choice.module == "acsylla" and choice.session is None and choice.hosts is None:
        raise ConfigurationError("AcsyllaDriver requires hosts= or session=; nothing was opened.")
    return given if choice.port is None else {"port": choice.port, **given}


def _refuse(options: dict[str, Any], foreign: tuple[str, ...], choice: Choice) -> None:
    """Refuse options that belong to the other server driver (a session brings its own)."""
    unfit = [name for name in foreign if name in options]
    if unfit and choice.session is None:
        allowed = "ssl_context=" if foreign is _OF_ACSYLLA else "ssl_enabled=, ssl_trusted_cert=, ..."
        raise ConfigurationError(
            f"{', '.join(unfit)}: not an option of the {choice.module} driver (which has {allowed})."
        )
