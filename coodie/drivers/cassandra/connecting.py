"""
Opening and describing a cluster of cassandra-driver.

Rules that live here:

* The execution profile of a cluster that is ours never re-sends; statements that may be sent twice carry the client's
  own policy (or the one the user gave) themselves.
* Options of the client's older style that cannot stand beside a profile are moved into it.
* A host that is not found or not reached or a keyspace that does not exist is one ConfigurationError that names it.
"""

from __future__ import annotations

from typing import Any

from cassandra import InvalidRequest, UnresolvableContactPoints
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, default_lbp_factory
from cassandra.policies import RetryPolicy
from cassandra.query import dict_factory

from coodie.drivers.cassandra.errors import described
from coodie.drivers.cassandra.prepared import NEVER_RESEND
from coodie.exceptions import ConfigurationError

_DEFAULT_PORT = 9042
_PROTOCOL_VERSION = 4  # what Cassandra and ScyllaDB both speak; without it the client tries, and warns of, three others
# Seconds: with the client's own 30 a node that hangs is sent to for a minute, and each of its answers is unknown.
_HEARTBEAT = 5.0
# Seconds: the client's own 2 are less than a busy server, or one of many tables, takes to describe its schema.
_CONTROL_TIMEOUT = 10.0


def open_session(hosts: list[Any], keyspace: str | None, options: dict[str, Any]) -> tuple[Any, RetryPolicy]:
    """Return a connected session of a cluster of ours and the policy for what may be re-sent. Blocks."""
    options = dict(options)
    retrying = options.pop("default_retry_policy", None) or RetryPolicy()
    profiles = dict(options.pop("execution_profiles", None) or {})
    profiles.setdefault(EXEC_PROFILE_DEFAULT, _profile(options))
    options.setdefault("protocol_version", _PROTOCOL_VERSION)
    options.setdefault("idle_heartbeat_interval", _HEARTBEAT)
    options.setdefault("idle_heartbeat_timeout", _HEARTBEAT)
    options.setdefault("control_connection_timeout", _CONTROL_TIMEOUT)
    try:
        cluster = Cluster(hosts, execution_profiles=profiles, **options)
    except UnresolvableContactPoints as error:
        raise ConfigurationError(_unresolvable(hosts)) from error
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"cassandra-driver refused the options of the cluster: {error}") from error
    try:
        return _connected(cluster, keyspace, _where(hosts, options)), retrying
    except BaseException:
        cluster.shutdown()
        raise


def is_surely_cassandra(session: Any) -> bool:
    """Return whether every known host says it is Cassandra 4 or later (ScyllaDB says 3.0.8), and none is ScyllaDB."""
    try:
        metadata = session.cluster.metadata
        versions = [str(host.release_version) for host in metadata.all_hosts()]
        system = metadata.keyspaces.get("system")
        named = system is not None and "scylla_local" in system.tables
        return bool(versions) and not named and all(int(version.split(".")[0]) >= 4 for version in versions)
    except Exception:  # a session of the user's may be anything: not sure is the safe answer
        return False


def request_timeout_of(session: Any) -> float | None:
    """Return the seconds after which a session gives up a statement that brings no timeout of its own."""
    profile = session.cluster.profile_manager.profiles.get(EXEC_PROFILE_DEFAULT)
    timeout: float | None = session.default_timeout if profile is None else profile.request_timeout
    return timeout


def _profile(options: dict[str, Any]) -> ExecutionProfile:
    """Return our execution profile, taking what belongs into it out of the options."""
    return ExecutionProfile(
        load_balancing_policy=options.pop("load_balancing_policy", None) or default_lbp_factory(),
        retry_policy=NEVER_RESEND,
        row_factory=dict_factory,
        speculative_execution_policy=options.pop("speculative_execution_policy", None),
    )


def _connected(cluster: Any, keyspace: str | None, where: str) -> Any:
    """Return a session in the keyspace; ConfigurationError where that cannot be."""
    try:
        session = cluster.connect()
    except Exception as error:
        raise ConfigurationError(f"Cannot connect to Cassandra at {where}: {described(error)}") from error
    if keyspace is not None:
        try:
            session.set_keyspace(keyspace)
        except InvalidRequest as error:
            raise ConfigurationError(
                f"The keyspace {keyspace!r} does not exist at {where}: create it first, or correct its name."
            ) from error
    return session


def _unresolvable(hosts: list[Any]) -> str:
    """Return the line about contact points of which none has an address."""
    text = f"Cannot connect to Cassandra: no address was found for {', '.join(repr(host) for host in hosts)}"
    for host in hosts:
        name, colon, port = str(host).partition(":")
        if colon and port.isdigit():
            return f"{text}; the port goes into port=, as in hosts=[{name!r}], port={port}."
    return f"{text}; correct the names in hosts=."


def _where(hosts: list[Any], options: dict[str, Any]) -> str:
    """Return the contact points as text."""
    port = options.get("port", _DEFAULT_PORT)
    return ", ".join(f"{host}:{port}" if isinstance(host, str) else str(host) for host in hosts)
