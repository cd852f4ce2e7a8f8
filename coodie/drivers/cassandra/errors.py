"""
What an error of cassandra-driver says about the write, for statements that touch one partition.

Rules that live here:

* The client's default retry policy re-sends a counter update whose reply was lost, and so stores it twice; what this
  module says of NoHostAvailable holds under ``FallthroughRetryPolicy`` only (``resent`` tells whether it held).
* ScyllaDB's counter leader applies locally and checks the consistency level afterwards: there Unavailable proves
  nothing (``strict``). Nor does it for a write in steps: a batch, or one with a condition.
* A statement that writes nothing is surely not written, whatever happened to it.
* An InvalidRequest while preparing is about the statement's text, hence the table; later it is about the row, unless
  its text says that the table has changed meanwhile.
"""

from __future__ import annotations

import re
from typing import Any

from cassandra import AlreadyExists, AuthenticationFailed, InvalidRequest, Unauthorized, Unavailable
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionBusy
from cassandra.pool import NoConnectionsAvailable
from cassandra.protocol import (
    ConfigurationException,
    IsBootstrappingErrorMessage,
    PreparedQueryNotFound,
    SyntaxException,
)

from coodie.drivers.outcomes import raised_as
from coodie.drivers.refusals import in_steps, is_about_table, reads_only, refusal_of_text, without_values
from coodie.exceptions import DriverError, MaybeApplied, NotApplied, Rejected, RowRejected, TableRejected
from coodie.statement import Statement

_NEVER_SENT = (
    AuthenticationFailed,
    NoConnectionsAvailable,
    ConnectionBusy,
    IsBootstrappingErrorMessage,
    PreparedQueryNotFound,
)


def classified(error: Exception, statement: Statement, *, strict: bool, resent: bool, host: Any = None) -> DriverError:
    """Return the error to raise for one that a sent statement met."""
    leaf = _leaf(error, statement, strict=strict, resent=resent)
    if leaf is MaybeApplied and reads_only(statement.shape):
        leaf = NotApplied
    if leaf is RowRejected and reads_only(statement.shape):
        leaf = Rejected  # the question is refused, not a row
    return raised_as(leaf, error, described(error), statement=statement.cql, host=_address(host) or _only_host(error))


def refused_text(error: Exception, statement: Statement) -> DriverError:
    """Return the error to raise for one that preparing a statement met: the statement itself was never sent."""
    leaf: type[DriverError] = NotApplied
    if isinstance(error, Unauthorized):
        leaf = TableRejected
    elif isinstance(error, InvalidRequest | SyntaxException | ConfigurationException):
        leaf = refusal_of_text(str(error), statement.shape)
    return raised_as(leaf, error, described(error), statement=statement.cql, host=None)


def not_sent(error: Exception, statement: Statement) -> DriverError:
    """Return the error to raise for one that the client raised before it sent anything."""
    return raised_as(NotApplied, error, described(error), statement=statement.cql, host=None)


def described(error: BaseException) -> str:
    """Return one line about an error: hosts with their reasons where it names hosts."""
    hosts = getattr(error, "errors", None)
    if isinstance(hosts, dict) and hosts:
        return "; ".join(f"{_address(host) or host}: {_reason(reason)}" for host, reason in hosts.items())
    return _reason(error)


def _leaf(error: Exception, statement: Statement, *, strict: bool, resent: bool) -> type[DriverError]:
    """Return the leaf of our tree for an error, by the outcome table."""
    if isinstance(error, InvalidRequest):
        return TableRejected if is_about_table(str(error)) else RowRejected
    if isinstance(error, Unauthorized | ConfigurationException | AlreadyExists):
        return TableRejected
    if isinstance(error, SyntaxException):
        return refusal_of_text(str(error), statement.shape)
    if isinstance(error, _NEVER_SENT):
        return NotApplied
    if isinstance(error, Unavailable):
        return MaybeApplied if strict or in_steps(statement.shape) else NotApplied
    if isinstance(error, NoHostAvailable):
        return MaybeApplied if resent else NotApplied
    return MaybeApplied


def _only_host(error: Exception) -> str | None:
    """Return the host an error is about where it names one alone: nobody answered, so no coordinator is known."""
    hosts = getattr(error, "errors", None)
    return _address(next(iter(hosts))) if isinstance(hosts, dict) and len(hosts) == 1 else None


def _reason(error: Any) -> str:
    """Return what went wrong in one line, without the server's prefix of codes."""
    text = str(getattr(error, "message", None) or error) or type(error).__name__
    found = re.search(r'message="(.*)"', text, re.DOTALL)
    return " ".join(without_values(found.group(1) if found else text).split())


def _address(host: Any) -> str | None:
    """Return ``address:port`` of a host object, or None."""
    endpoint = getattr(host, "endpoint", host)
    return str(endpoint) if endpoint is not None else None
