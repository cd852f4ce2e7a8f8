"""
Opening acsylla sessions.

Rules that live here: a cluster of ours never re-sends (each statement says itself what may be) and gives up a request
after 10 s, above the server's 5. A host that is not reached or a keyspace that does not exist is one ConfigurationError
that names it. ``logging`` would print acsylla's warnings about the same on its own where nothing is configured.
"""

from __future__ import annotations

import logging
from typing import Any

import acsylla
from acsylla import errors

from coodie.drivers.acsylla.errors import described
from coodie.drivers.acsylla.sharding import ShardingNotices
from coodie.exceptions import ConfigurationError

REQUEST_TIMEOUT = 10.0
_DEFAULT_PORT = 9042

_log = logging.getLogger("acsylla")
_log.addHandler(logging.NullHandler())
_notices = ShardingNotices(_log)
_log.addFilter(_notices)


async def open_session(hosts: list[str], keyspace: str | None, options: dict[str, Any]) -> Any:
    """Return a connected session of the running loop; ``options`` go to ``acsylla.create_cluster``."""
    options = {"retry_policy": "fallthrough", "request_timeout": REQUEST_TIMEOUT, **options}
    where = ", ".join(f"{host}:{options.get('port', _DEFAULT_PORT)}" for host in hosts)
    try:
        cluster = acsylla.create_cluster(list(hosts), **options)
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(f"acsylla refused the options of the cluster: {error}") from error
    try:
        with _notices.held():
            session = await cluster.create_session(keyspace=keyspace)
            _notices.wanted = not is_surely_cassandra(session)
        return session
    except errors.CassErrorLibUnableToSetKeyspace as error:
        raise ConfigurationError(
            f"The keyspace {keyspace!r} does not exist at {where}: create it first, or correct its name."
        ) from error
    except errors.CassException as error:
        raise ConfigurationError(f"Cannot connect to Cassandra at {where}: {described(error)}") from error


def is_surely_cassandra(session: Any) -> bool:
    """Return whether the server says it is Cassandra 4 or later (ScyllaDB says 3.0.8)."""
    try:
        return int(session.get_metadata().get_version()[0]) >= 4
    except Exception:  # a session of the user's may be anything: not sure is the safe answer
        return False
