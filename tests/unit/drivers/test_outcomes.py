"""How errors of the drivers become ours: the outcome table, row by row."""

from __future__ import annotations

import pickle
from types import ModuleType
from typing import Any

import acsylla.errors as acsylla_errors
import cassandra
import cassandra.cluster
import cassandra.connection
import cassandra.protocol
import pytest
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionBusy, ConnectionException, ConnectionShutdown
from cassandra.pool import NoConnectionsAvailable
from cassandra.protocol import (
    ConfigurationException,
    IsBootstrappingErrorMessage,
    OverloadedErrorMessage,
    PreparedQueryNotFound,
    ProtocolException,
    ServerError,
    SyntaxException,
    TruncateError,
)

from coodie.drivers.acsylla import errors as of_acsylla
from coodie.drivers.cassandra import errors as of_cassandra
from coodie.drivers.outcomes import forget_refused, outcome_of, raised_as
from coodie.drivers.refusals import is_about_table, placeholders
from coodie.exceptions import (
    ConfigurationError,
    DriverError,
    InvalidQueryError,
    MaybeApplied,
    NotApplied,
    Rejected,
    RowRejected,
    TableRejected,
)
from coodie.schema import Column, Table
from coodie.statement import Batch, Change, CounterUpdate, Delete, Fate, Insert, Raw, Select, Statement, Term, Update

UPDATE = Statement(CounterUpdate("hits", ("views",)), (1, "/home"), lambda shape: "UPDATE hits")
READ = Statement(Select("hits"), (), lambda shape: "SELECT hits")
BATCH = Statement(Raw("BEGIN COUNTER BATCH UPDATE ... APPLY BATCH"), (), lambda shape: "BEGIN")
INSERT = Insert("hits", ("url", "writer", "views"), timestamp=True)
TOTALS = Statement(Batch((INSERT, INSERT)), (), lambda shape: "BEGIN")


def of_server(kind: Any, text: str = "a reason") -> Exception:
    error: Exception = kind(0x0000, text, {})
    return error


NO_HOST = NoHostAvailable("no host", {"127.0.0.1:9042": ConnectionException("refused")})
NO_HOST_TOLD_NOTHING = NoHostAvailable("no host", {})
CASSANDRA: list[tuple[Exception, type[DriverError], type[DriverError]]] = [
    # error, on Cassandra, on what is not surely Cassandra
    (cassandra.InvalidRequest("Key may not be empty"), RowRejected, RowRejected),
    (cassandra.InvalidRequest("table nowhere does not exist"), TableRejected, TableRejected),
    (cassandra.InvalidRequest("unconfigured table hits"), TableRejected, TableRejected),
    (of_server(SyntaxException), TableRejected, TableRejected),
    (cassandra.Unauthorized("no MODIFY permission"), TableRejected, TableRejected),
    (cassandra.AlreadyExists("web", "hits"), TableRejected, TableRejected),
    (cassandra.AuthenticationFailed("bad password"), NotApplied, NotApplied),
    (cassandra.Unavailable("not enough replicas"), NotApplied, MaybeApplied),
    (NO_HOST, NotApplied, NotApplied),
    (of_server(IsBootstrappingErrorMessage), NotApplied, NotApplied),
    (of_server(OverloadedErrorMessage), MaybeApplied, MaybeApplied),
    (ConnectionBusy("busy"), NotApplied, NotApplied),
    (NoConnectionsAvailable("none"), NotApplied, NotApplied),
    (ConnectionShutdown("lost", "127.0.0.1"), MaybeApplied, MaybeApplied),
    (ConnectionException("lost"), MaybeApplied, MaybeApplied),
    (cassandra.WriteTimeout("late", write_type=6), MaybeApplied, MaybeApplied),
    (cassandra.WriteFailure("failed", write_type=6), MaybeApplied, MaybeApplied),
    (of_server(ServerError), MaybeApplied, MaybeApplied),
    (of_server(TruncateError), MaybeApplied, MaybeApplied),
    (of_server(ProtocolException), MaybeApplied, MaybeApplied),
    (of_server(PreparedQueryNotFound), NotApplied, NotApplied),
    (of_server(ConfigurationException), TableRejected, TableRejected),
    (NO_HOST_TOLD_NOTHING, NotApplied, NotApplied),
    (cassandra.OperationTimedOut(), MaybeApplied, MaybeApplied),
]
ACSYLLA: list[tuple[str, type[DriverError], type[DriverError]]] = [
    ("ServerInvalidQuery", RowRejected, RowRejected),
    ("ServerSyntaxError", TableRejected, TableRejected),
    ("LibBadParams", RowRejected, RowRejected),
    ("LibMessageEncode", RowRejected, RowRejected),
    ("LibParameterUnset", RowRejected, RowRejected),
    ("ServerUnauthorized", TableRejected, TableRejected),
    ("ServerConfigError", TableRejected, TableRejected),
    ("ServerIsBootstrapping", NotApplied, NotApplied),
    ("ServerUnprepared", NotApplied, NotApplied),
    ("ServerUnavailable", NotApplied, MaybeApplied),
    ("ServerOverloaded", MaybeApplied, MaybeApplied),
    ("LibNoHostsAvailable", NotApplied, NotApplied),
    ("LibRequestQueueFull", NotApplied, NotApplied),
    ("LibNoStreams", NotApplied, NotApplied),
    ("LibRequestTimedOut", MaybeApplied, MaybeApplied),
    ("LibWriteError", MaybeApplied, MaybeApplied),
    ("ServerWriteTimeout", MaybeApplied, MaybeApplied),
    ("ServerWriteFailure", MaybeApplied, MaybeApplied),
    ("ServerServerError", MaybeApplied, MaybeApplied),
    ("ServerTruncateError", MaybeApplied, MaybeApplied),
    ("LibUnexpectedResponse", MaybeApplied, MaybeApplied),
]


def by_name(name: str) -> Exception:
    error: Exception = getattr(acsylla_errors, f"CassError{name}")("a reason")
    return error


def test_a_read_that_is_refused_is_about_no_row() -> None:
    text = "Cannot page queries with both ORDER BY and a IN restriction on the partition key"
    refused = of_cassandra.classified(cassandra.InvalidRequest(text), READ, strict=False, resent=False)
    assert isinstance(refused, Rejected)
    assert not isinstance(refused, RowRejected | TableRejected)
    refused = of_acsylla.classified(by_name("ServerInvalidQuery"), READ, strict=False)
    assert isinstance(refused, Rejected)
    assert not isinstance(refused, RowRejected | TableRejected)


@pytest.mark.parametrize(("error", "leaf", "strict_leaf"), CASSANDRA, ids=lambda value: type(value).__name__)
def test_the_outcome_table_of_cassandra_driver(
    error: Exception, leaf: type[DriverError], strict_leaf: type[DriverError]
) -> None:
    for strict, expected in ((False, leaf), (True, strict_leaf)):
        ours = of_cassandra.classified(error, UPDATE, strict=strict, resent=False)
        assert isinstance(ours, expected)
        assert isinstance(ours, type(error))
        assert ours.__cause__ is error
        assert ours.statement == "UPDATE hits"


@pytest.mark.parametrize(("name", "leaf", "strict_leaf"), ACSYLLA)
def test_the_outcome_table_of_acsylla(name: str, leaf: type[DriverError], strict_leaf: type[DriverError]) -> None:
    for strict, expected in ((False, leaf), (True, strict_leaf)):
        ours = of_acsylla.classified(by_name(name), UPDATE, strict=strict)
        assert isinstance(ours, expected)
        assert isinstance(ours, getattr(acsylla_errors, f"CassError{name}"))


def test_what_may_be_sent_twice_proves_nothing_by_finding_no_host() -> None:
    assert isinstance(of_cassandra.classified(NO_HOST, UPDATE, strict=False, resent=True), MaybeApplied)


def test_a_batch_may_be_applied_in_part() -> None:
    unavailable = cassandra.Unavailable("not enough replicas")
    assert isinstance(of_cassandra.classified(unavailable, BATCH, strict=False, resent=False), MaybeApplied)
    assert isinstance(of_acsylla.classified(by_name("ServerUnavailable"), BATCH, strict=False), MaybeApplied)


def test_a_batch_of_totals_is_unknown_where_one_of_its_partitions_may_be_written() -> None:
    """They may be sent twice, and the client may have done so: finding no host proves nothing either."""
    assert TOTALS.idempotent
    for error in (cassandra.Unavailable("not enough replicas"), NO_HOST, cassandra.WriteTimeout("late", write_type=3)):
        assert isinstance(of_cassandra.classified(error, TOTALS, strict=False, resent=True), MaybeApplied)
    for name in ("ServerUnavailable", "LibNoHostsAvailable", "ServerWriteTimeout"):
        assert isinstance(of_acsylla.classified(by_name(name), TOTALS, strict=False), MaybeApplied)
    assert isinstance(of_acsylla.refused_text(by_name("ServerInvalidQuery"), TOTALS), TableRejected)
    assert isinstance(of_cassandra.refused_text(cassandra.InvalidRequest("wrong"), TOTALS), TableRejected)


WHERE = (Term("url"),)
CONDITIONAL = [
    Insert("hits", ("url",), if_not_exists=True),
    Update("hits", (Change("views"),), WHERE, if_exists=True),
    Update("hits", (Change("views"),), WHERE, conditions=(Term("views"),)),
    Delete("hits", WHERE, if_exists=True),
    Delete("hits", WHERE, conditions=(Term("views"),)),
    Raw("INSERT INTO hits (url) VALUES ('if') if not exists"),
]


@pytest.mark.parametrize("shape", CONDITIONAL, ids=lambda shape: f"{type(shape).__name__}")
def test_a_conditional_write_is_agreed_upon_before_its_commit_finds_too_few_replicas(shape: Any) -> None:
    statement = Statement(shape, (), lambda shape: "WRITE")
    unavailable = cassandra.Unavailable("not enough replicas")
    assert isinstance(of_cassandra.classified(unavailable, statement, strict=False, resent=False), MaybeApplied)
    assert isinstance(of_acsylla.classified(by_name("ServerUnavailable"), statement, strict=False), MaybeApplied)


def test_a_word_in_quotes_is_no_condition() -> None:
    statement = Statement(Raw("INSERT INTO hits (url) VALUES (' if ')"), (), lambda shape: "WRITE")
    unavailable = cassandra.Unavailable("not enough replicas")
    assert isinstance(of_cassandra.classified(unavailable, statement, strict=False, resent=False), NotApplied)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("Error decoding JSON value for n: Unable to make int from 'x'", "Error decoding JSON value for n"),
        (
            'Could not decode JSON string as a map: line 1\n (String was: {"a": "x"})',
            "Could not decode JSON string as a map",
        ),
        ("JSON values map contains unrecognized column: likes", "JSON values map contains unrecognized column: likes"),
        ("Key may not be empty", "Key may not be empty"),
    ],
)
def test_a_servers_message_is_told_without_the_values_it_quotes(told: str, kept: str) -> None:
    answer = cassandra.InvalidRequest(f'Error from server: code=2200 [Invalid query] message="{told}"')
    assert of_cassandra.described(answer) == kept
    assert of_acsylla.described(acsylla_errors.CassErrorServerInvalidQuery(f"Invalid query: {told}")) == (
        f"Invalid query: {kept}"
    )


def test_one_host_that_did_not_answer_is_named() -> None:
    late = cassandra.OperationTimedOut({"127.0.0.1:9042": "Client request timeout"})
    assert of_cassandra.classified(late, READ, strict=False, resent=False).host == "127.0.0.1:9042"
    late = cassandra.OperationTimedOut({"127.0.0.1:9042": "late", "127.0.0.2:9042": "late"})
    assert of_cassandra.classified(late, READ, strict=False, resent=False).host is None


def test_a_read_has_written_nothing_whatever_happened() -> None:
    timeout = cassandra.OperationTimedOut()
    assert isinstance(of_cassandra.classified(timeout, READ, strict=True, resent=True), NotApplied)
    assert isinstance(of_acsylla.classified(by_name("LibRequestTimedOut"), READ, strict=True), NotApplied)


def test_a_statement_that_cannot_be_prepared_was_never_sent() -> None:
    for error, leaf in (
        (cassandra.OperationTimedOut(), NotApplied),
        (NO_HOST, NotApplied),
        (cassandra.InvalidRequest("Invalid operation for non counter table"), TableRejected),
        (cassandra.Unauthorized("no"), TableRejected),
    ):
        assert isinstance(of_cassandra.refused_text(error, UPDATE), leaf)
    filtering = cassandra.InvalidRequest("Cannot execute this query as it might involve data filtering")
    assert type(of_cassandra.refused_text(filtering, READ)).__mro__[1] is Rejected
    assert isinstance(of_acsylla.refused_text(by_name("LibRequestTimedOut"), UPDATE), NotApplied)


def test_hosts_and_their_reasons_are_told_in_one_line() -> None:
    ours = of_cassandra.classified(NO_HOST, UPDATE, strict=False, resent=False)
    assert str(ours) == "Nothing was written: 127.0.0.1:9042: refused"
    answer = cassandra.InvalidRequest('Error from server: code=2200 [Invalid query] message="Key may not be empty"')
    told = str(of_cassandra.classified(answer, UPDATE, strict=False, resent=False))
    assert told == "Refused, nothing was written: Key may not be empty"


def test_an_error_keeps_the_fields_of_both_and_can_be_pickled() -> None:
    foreign = cassandra.WriteTimeout("late", write_type=6)
    ours: Any = raised_as(MaybeApplied, foreign, "late", statement="UPDATE hits", host="127.0.0.1:9042")
    assert (ours.write_type, ours.statement, ours.host) == (6, "UPDATE hits", "127.0.0.1:9042")
    copy = pickle.loads(pickle.dumps(ours))
    assert isinstance(copy, MaybeApplied)
    assert (str(copy), copy.statement, copy.host) == (str(ours), ours.statement, ours.host)


MODULES = (cassandra, cassandra.protocol, cassandra.cluster, cassandra.connection, acsylla_errors)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_an_error_of_any_class_is_both_and_leaves_the_clients_package_as_it_was(module: ModuleType) -> None:
    """cassandra-driver enters each subclass of a protocol error in the table by which it decodes answers."""
    decoding = dict(cassandra.protocol.error_classes)
    opcodes = dict(cassandra.protocol._message_types_by_opcode)
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert kinds
    for kind in kinds:
        foreign = kind.__new__(kind)  # each has an __init__ of its own
        ours = raised_as(NotApplied, foreign, "why", statement="UPDATE hits", host="127.0.0.1:9042")
        assert isinstance(ours, NotApplied)
        assert isinstance(ours, kind)
        told = (str(ours), ours.statement, ours.host, ours.__cause__)
        assert told == ("Nothing was written: why", "UPDATE hits", "127.0.0.1:9042", foreign)
        assert repr(ours) == "NotApplied('Nothing was written: why')"
    assert cassandra.protocol.error_classes == decoding
    assert cassandra.protocol._message_types_by_opcode == opcodes


def test_a_refused_table_is_no_longer_known_and_no_other_is_forgotten() -> None:
    hits, posts = (Table(name, (Column("url", "text", partition_index=0),), "web") for name in ("hits", "posts"))
    known = {"web.hits": frozenset({"url"}), "web.posts": frozenset({"url"})}
    select = Statement(Select(hits))
    for error in (None, RowRejected("x"), NotApplied("x"), MaybeApplied("x")):
        forget_refused(known, error, select)
    assert len(known) == 2
    for _ in range(2):
        forget_refused(known, TableRejected("x"), select)
        assert list(known) == [posts.full_name]
    forget_refused(known, TableRejected("x"), BATCH)  # a text may be about any table
    assert known == {}


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (NotApplied("x"), Fate.NOT_APPLIED),
        (MaybeApplied("x"), Fate.UNKNOWN),
        (RowRejected("x"), Fate.REJECTED),
        (TableRejected("x"), Fate.REJECTED),
        (InvalidQueryError("x"), Fate.REJECTED),
        (ConfigurationError("x"), Fate.NOT_APPLIED),
    ],
)
def test_every_error_has_a_fate(error: Any, fate: Fate) -> None:
    outcome = outcome_of(error)
    assert outcome.fate is fate
    assert isinstance(outcome.error, DriverError)


@pytest.mark.parametrize(
    "text",
    [
        "table hits does not exist",
        "unconfigured table hits",
        "Keyspace 'web' does not exist",
        "keyspace web does not exist",
        "Undefined column name likes in table web.hits",
        "Unknown identifier likes",
        "No keyspace has been specified. USE a keyspace, or explicitly specify keyspace.tablename",
    ],
)
def test_refusals_that_concern_the_table(text: str) -> None:
    assert is_about_table(text)


@pytest.mark.parametrize(
    "text", ["Key may not be empty", "Key length of 70000 is longer than maximum of 65535", "Batch too large"]
)
def test_refusals_that_concern_the_row(text: str) -> None:
    assert not is_about_table(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("SELECT 1", 0),
        ("UPDATE t SET n = n + ? WHERE k = ?", 2),
        ("SELECT * FROM t WHERE a = '?' AND b = ? AND \"c?\" = 'it''s ?'", 1),
        ("SELECT * FROM t -- really?\nWHERE a = ? /* ? */", 1),
        ("INSERT INTO t (a, b) VALUES (:a,:b)", 2),
        ("INSERT INTO t (a) VALUES ({'x': ?, 'y': 12})", 1),
        ("SELECT $$ ? $$ FROM t WHERE a = ?", 1),
    ],
)
def test_placeholders_are_counted_outside_of_quotes(text: str, count: int) -> None:
    assert placeholders(text) == count
