"""
What an error of acsylla says about the write, for statements that touch one partition.

Rules that live here: the same as for cassandra-driver. The client re-sends nothing that is not idempotent under its
``fallthrough`` policy, which every such statement carries: there "no hosts available" proves that nothing was written.
A session's own "closed" is raised before anything is sent.
"""

from __future__ import annotations

from typing import Any

from acsylla import errors

from coodie.drivers.outcomes import raised_as
from coodie.drivers.refusals import (
    in_steps,
    is_about_table,
    reads_only,
    refusal_of_text,
    without_values,
)
from coodie.exceptions import (
    DriverError,
    MaybeApplied,
    NotApplied,
    Rejected,
    RowRejected,
    TableRejected,
)
from coodie.statement import Statement

_OF_TABLE = (errors.CassErrorServerUnauthorized, errors.CassErrorServerConfigError, errors.CassErrorServerAlreadyExists)
_OF_ROW = (
    errors.CassErrorLibBadParams,
    errors.CassErrorLibMessageEncode,
    errors.CassErrorLibParameterUnset,
    errors.CassErrorLibIndexOutOfBounds,
    errors.CassErrorLibInvalidValueType,
    errors.CassErrorLibNameDoesNotExist,
)
_NEVER_SENT = (
    errors.CassErrorLibRequestQueueFull,
    errors.CassErrorLibNoStreams,
    errors.CassErrorServerIsBootstrapping,
    errors.CassErrorServerUnprepared,
)


def classified(error: Exception, statement: Statement, *, strict: bool) -> DriverError:
    """Return the error to raise for one that a sent statement met; ``strict``: not surely Cassandra."""
    leaf = _leaf(error, statement, strict)
    if leaf is MaybeApplied and reads_only(statement.shape):
        leaf = NotApplied
    if leaf is RowRejected and reads_only(statement.shape):
        leaf = Rejected  # the question is refused, not a row
    return raised_as(leaf, error, described(error), statement=statement.cql, host=None)


def refused_text(error: Exception, statement: Statement) -> DriverError:
    """Return the error to raise for one that preparing a statement met: the statement itself was never sent."""
    leaf: type[DriverError] = NotApplied
    if isinstance(error, _OF_TABLE):
        leaf = TableRejected
    elif isinstance(error, errors.CassErrorServerInvalidQuery | errors.CassErrorServerSyntaxError):
        leaf = refusal_of_text(str(error), statement.shape)
    return raised_as(leaf, error, described(error), statement=statement.cql, host=None)


def described(error: BaseException) -> str:
    """Return one line about an error."""
    return " ".join(without_values(str(error)).split()) or type(error).__name__


def _leaf(error: Any, statement: Statement, strict: bool) -> type[DriverError]:
    """Return the leaf of our tree for an error, by the outcome table."""
    if isinstance(error, errors.CassErrorServerInvalidQuery):
        return TableRejected if is_about_table(str(error)) else RowRejected
    if isinstance(error, errors.CassErrorServerSyntaxError):
        return refusal_of_text(str(error), statement.shape)
    if isinstance(error, _OF_TABLE):
        return TableRejected
    if isinstance(error, _OF_ROW):
        return RowRejected
    if isinstance(error, _NEVER_SENT) or (isinstance(error, RuntimeError) and "closed" in str(error)):
        return NotApplied
    if isinstance(error, errors.CassErrorServerUnavailable):
        return MaybeApplied if strict or in_steps(statement.shape) else NotApplied
    if isinstance(error, errors.CassErrorLibNoHostsAvailable):
        return MaybeApplied if statement.idempotent else NotApplied
    return MaybeApplied
