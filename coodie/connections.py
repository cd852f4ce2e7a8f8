"""
Connections: opening a driver, and which driver and table a model class means.

Rules that live here:

* ``init_coodie`` registers the driver under its name and always makes it the default.
* What a class resolves to is kept until the registry changes; every change of the registry also takes back what an
  aggregator compiled from it (``counters.invalidate``).
* Environment: ``COODIE_HOSTS``, ``COODIE_PORT``, ``COODIE_KEYSPACE``, ``COODIE_DRIVER``, ``COODIE_DATABASE``; see
  ``coodie.drivers.choice``.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from coodie import counters, schema
from coodie.drivers import registry
from coodie.drivers.adapter import served
from coodie.drivers.protocol import Driver
from coodie.exceptions import InvalidQueryError

if TYPE_CHECKING:
    from coodie.drivers.choice import Choice


def init_coodie(
    hosts: list[str] | None = None,
    session: Any = None,
    keyspace: str | None = None,
    driver_type: str | None = None,
    name: str = "default",
    ssl_context: Any = None,
    lazy: bool = False,
    compression: Any = None,
    speculative_execution_policy: Any = None,
    **kwargs: Any,
) -> Any:
    """
    Open a driver, register it under ``name`` as the default, and return it.

    Args: ``hosts`` (or ``session``, one you opened) and ``keyspace``, which must exist; ``driver_type`` one of
    'scylla', 'cassandra', 'acsylla', 'sqlite'; ``lazy``: connect at first use; ``database=``: file of the embedded
    store; other keywords, ``port=`` among them, go to the driver's cluster. The environment fills what is left out.
    Raises ConfigurationError (unknown option, no such keyspace, host not reached), ImportError (package missing).
    """
    choice = _chosen(hosts, session, keyspace, driver_type, kwargs, native_async=False)
    options = {
        "ssl_context": ssl_context,
        "compression": compression,
        "speculative_execution_policy": speculative_execution_policy,
        **kwargs,
    }
    return _registered(name, _open(choice, options, lazy))


async def init_coodie_async(
    hosts: list[str] | None = None,
    session: Any = None,
    keyspace: str | None = None,
    driver_type: str | None = None,
    name: str = "default",
    ssl_context: Any = None,
    ssl_enabled: bool | None = None,
    ssl_trusted_cert: str | None = None,
    ssl_cert: str | None = None,
    ssl_private_key: str | None = None,
    ssl_verify_flags: Any = None,
    **kwargs: Any,
) -> Any:
    """
    Open a driver, register it under ``name`` as the default, and return it.

    As :func:`init_coodie`, which see; the ``ssl_*`` five are options of acsylla with hosts. A session of acsylla is
    used on the running loop alone; with hosts every loop gets a session of its own.
    """
    choice = _chosen(hosts, session, keyspace, driver_type, kwargs, native_async=True)
    options = {
        "ssl_context": ssl_context,
        "ssl_enabled": ssl_enabled,
        "ssl_trusted_cert": ssl_trusted_cert,
        "ssl_cert": ssl_cert,
        "ssl_private_key": ssl_private_key,
        "ssl_verify_flags": ssl_verify_flags,
        **kwargs,
    }
    if choice.module == "acsylla" and not options.pop("lazy", False):
        from coodie.drivers import opening

        return _registered(name, await opening.open_acsylla_async(choice, options))
    return _registered(name, _open(choice, options, options.pop("lazy", False)))


def resolve(model_cls: type[Any]) -> tuple[Driver, schema.Table]:
    """
    Return the driver a class writes through and its table, qualified where the driver needs a keyspace.

    Raises ConfigurationError (no such connection), InvalidQueryError (no keyspace). From any thread.
    """
    found: _Resolved | None = model_cls.__coodie_resolved__
    if found is not None:  # this much of every call: short
        driver, table, model, name, registered, keyspace = found
        if model is model_cls:  # else a class above it was resolved, and it itself was not
            current = registry._registry.get(name or registry._default_driver_name or "")
            if current is registered and getattr(registered, "_default_keyspace", None) == keyspace:
                return driver, table
            registry.changed()  # a fixture emptied or replaced the dictionary behind our back
    found = model_cls.__coodie_resolved__ = _resolve(model_cls)
    return found.driver, found.table


def connection_name(model_cls: type[Any]) -> str:
    """Return the name under which the driver of a class is registered."""
    name = named(model_cls)
    return name if name is not None else registry.default_name()


def driver_of(name: str | None = None) -> Driver:
    """Return the driver of a name, or the default one, fit to take statements."""
    return served(registry.get_driver(name))


def qualified(driver: Any, table: schema.Table, what: str) -> schema.Table:
    """Return a table in a driver's keyspace, where that needs one and the table names none; ``what`` for errors."""
    if not driver.needs_keyspace or table.keyspace is not None:
        return table
    keyspace = driver._default_keyspace
    if not keyspace:
        raise InvalidQueryError(
            f"No keyspace configured for {what}: give init_coodie(keyspace=...) or Settings.keyspace."
        )
    return table.qualified(keyspace)


class _Resolved(NamedTuple):
    """What a class was resolved to, and from: the name in its Settings (None: the default), what was registered."""

    driver: Driver
    table: schema.Table
    model: type[Any]
    name: str | None
    registered: Any
    keyspace: Any


def _resolve(model_cls: type[Any]) -> _Resolved:
    """Look a class up in the registry and qualify its table."""
    registered = registry.get_driver(connection_name(model_cls))
    driver, table = served(registered), schema.table_of(model_cls)
    table = qualified(driver, table, model_cls.__name__)
    keyspace = getattr(registered, "_default_keyspace", None)
    return _Resolved(driver, table, model_cls, named(model_cls), registered, keyspace)


def named(model_cls: type[Any]) -> str | None:
    """Return the name of the connection in a class's Settings, or None: it has the default one."""
    name: str | None = getattr(getattr(model_cls, "Settings", None), "connection", None)
    return name


registry.on_change.append(counters.invalidate)


def _chosen(
    hosts: Any, session: Any, keyspace: str | None, driver_type: str | None, kwargs: dict[str, Any], native_async: bool
) -> Choice:
    """Choose the driver, taking ``port`` and ``database`` out of the options; warn of what the user overlooked."""
    from coodie.drivers.choice import choose

    given = {"hosts": hosts, "session": session, "keyspace": keyspace, "driver_type": driver_type}
    given |= {"port": kwargs.pop("port", None), "database": kwargs.pop("database", None)}
    choice = choose(given, os.environ, native_async=native_async)
    _tell(choice.notices)
    return choice


def _tell(notices: list[str]) -> None:
    """Warn of what the user overlooked."""
    if notices:
        import logging

        for notice in notices:
            logging.getLogger("coodie").warning(notice)


def _open(choice: Choice, options: dict[str, Any], lazy: bool) -> Any:
    """Open the chosen driver now, or at its first use."""
    from coodie.drivers import opening
    from coodie.drivers.lazy import LazyDriver

    if lazy and choice.session is None and choice.module != "sqlite":
        return LazyDriver(partial(opening.open_driver, choice, options), choice.keyspace)
    return opening.open_driver(choice, options)


def _registered(name: str, driver: Any) -> Any:
    """Register a driver as the default and return it."""
    registry.register_driver(name, driver, default=True)
    return driver
