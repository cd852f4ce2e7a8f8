"""
Bulk writes: what the terminals ``create``, ``update`` and ``delete`` of a QuerySet send.

Rules that live here:

* The query's TTL, timestamp, consistency, timeout and IF clauses go with the write. What it says of reading (limit,
  order, only ...) has no place in a write, and ignoring it would change more rows than asked: it is refused.
* Rows are named as CQL can name them: an UPDATE by whole keys (``=``, ``__in``), a DELETE by the partition key and a
  prefix of the clustering columns, the last of them a range or not; with a condition, by one whole key.
* A counter changes by what is added to it, so an update of one is an increment, buffered too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, TypeVar

from coodie.exceptions import InvalidQueryError
from coodie.model import Model
from coodie.plans import documents
from coodie.plans.changes import changes_of, refuse_shadowed
from coodie.plans.counters import checked_delta, deltas_of
from coodie.plans.writing import Write, WriteOptions, if_clause, sent
from coodie.query import EVERYTHING, Query
from coodie.schema import Column, Table, table_of
from coodie.statement import Delete, Statement, Update

M = TypeVar("M", bound=Model)

_READING = {
    "limit": "limit()",
    "order": "order_by()",
    "page": "page()",
    "columns": "only(), defer() or values_list()",
    "as_tuples": "values_list()",
    "tokens": "select_token()",
    "casts": "cast()",
    "distinct": "distinct()",
    "group_by": "group_by()",
    "per_partition_limit": "per_partition_limit()",
}
_EXACTLY = ("=", "IN")
_ONE_EXACTLY = [[operator] for operator in _EXACTLY]
_RANGES = {">", ">=", "<", "<="}
_SIGNS = {"add": 1, "remove": -1}


def create(document: Any, table: Table, query: Query) -> Write:
    """Return the plan that writes a new document; LWTResult where the query says ``if_not_exists``."""
    if query.if_exists:
        raise InvalidQueryError("create() takes no if_exists(): use update(); nothing was sent")
    write = documents.insert if query.if_not_exists else documents.save
    return write(document, table, _options(query, query.ttl))


def update(
    model: type[Model],
    table: Table,
    query: Query,
    changes: Mapping[str, Any],
    *,
    ttl: int | None = None,
    if_conditions: Mapping[str, Any] | None = None,
) -> Write:
    """
    Return the plan that changes columns of the rows whose keys a query names; LWTResult where there was a condition.

    ``ttl`` (s) beats the query's own. Nothing to change sends nothing.
    """
    _refuse_reading(query, "update")
    refuse_shadowed(table, ttl=ttl, if_conditions=if_conditions)
    assignments, operands, _ = changes_of(model, table, changes)
    terms, expected, exists = if_clause(table, if_conditions, query.if_exists)
    conditional = bool(terms) or exists
    touched = [*(change.column for change in assignments), *(term.column for term in terms)]
    _refuse_vague(table, query, "update", _naming(table, touched), _EXACTLY[: 1 if conditional else 2])
    if not assignments:
        return documents.nothing()
    options = _options(query, query.ttl if ttl is None else ttl)
    timed = (options.ttl is not None, options.timestamp is not None)
    shape = Update(table, assignments, query.terms, terms, exists, *timed)
    values = [*options.values(), *operands, *query.values, *expected]
    return _sent(query, options.statement(shape, values), conditional)


def delete(table: Table, query: Query, *, if_conditions: Mapping[str, Any] | None = None) -> Write:
    """Return the plan that deletes the rows a query names; LWTResult where there was a condition."""
    _refuse_reading(query, "delete")
    if query.ttl is not None:
        raise InvalidQueryError("delete() takes no ttl(): what is deleted does not expire; nothing was sent")
    timed = query.timestamp is not None
    if table.counters and (query.if_exists or if_conditions or timed):
        raise InvalidQueryError("Rows of counter tables are deleted without conditions and timestamps")
    terms, expected, exists = if_clause(table, if_conditions, query.if_exists)
    conditional = bool(terms) or exists
    if conditional:
        _refuse_vague(table, query, "delete", table.primary_key, _EXACTLY[:1])
    else:
        _refuse_no_prefix(table, query)
    options = _options(query, None)
    shape = Delete(table, query.terms, conditions=terms, if_exists=exists, timestamp=timed)
    return _sent(query, options.statement(shape, [*options.values(), *query.values, *expected]), conditional)


def increment(
    model: type[M], query: Query, changes: Mapping[str, Any], ttl: int | None, if_conditions: Mapping[str, Any] | None
) -> tuple[M, dict[str, int]]:
    """
    Return the document and the deltas that an update of counters means: ``views__add=1, likes__remove=2``.

    Raises InvalidQueryError for whatever an increment cannot do: set a counter, expire, depend on a condition, or touch
    another number of rows than one.
    """
    table = table_of(model)
    key = query.key(table)
    bare = query.changed(terms=(), values=(), allow_filtering=False, fetch_size=None)
    if key is None or bare != EVERYTHING or ttl is not None or if_conditions:
        names = ", ".join(column.name for column in table.primary_key)
        raise InvalidQueryError(
            f"Counters of {table.name} change by find(...).update(<counter>__add=n, <counter>__remove=n), where find() "
            f"names each of the key ({names}) and nothing else is asked for; nothing was written"
        )
    deltas: dict[str, int] = {}
    for given, value in changes.items():
        name, delta = _delta(table, given, value)
        if name in deltas:
            raise InvalidQueryError(f"Counter '{name}' is changed twice in one update; nothing was written")
        deltas[name] = delta
    return model.model_construct(**key), deltas_of(table, deltas) if deltas else {}


def _delta(table: Table, given: str, value: Any) -> tuple[str, int]:
    name, _, suffix = given.rpartition("__")
    if given in table.by_name or suffix not in _SIGNS:
        raise InvalidQueryError(
            f"Counters of {table.name} are changed by __add and __remove, not by '{given}'; nothing was written"
        )
    return name, _SIGNS[suffix] * checked_delta(name, value)


def _options(query: Query, ttl: int | None) -> WriteOptions:
    return WriteOptions(ttl, query.timestamp, query.consistency, query.timeout)


def _sent(query: Query, statement: Statement, conditional: bool) -> Write:
    return documents.nothing() if query.is_empty else sent(statement, conditional)


def _refuse_reading(query: Query, terminal: str) -> None:
    """Refuse what a query says of rows that are read."""
    for name, builder in _READING.items():
        if getattr(query, name) != getattr(EVERYTHING, name):
            raise InvalidQueryError(f"{terminal}() cannot honour {builder}: no write has it; nothing was sent")
    if query.if_not_exists:
        raise InvalidQueryError(f"{terminal}() takes no if_not_exists(), create() does; nothing was sent")


def _naming(table: Table, touched: Sequence[str]) -> tuple[Column, ...]:
    """Return the key columns that name the rows of an UPDATE: of static columns alone, those of the partition."""
    is_static = bool(touched) and all(table.by_name[name].static for name in touched)
    return table.partition_key if is_static else table.primary_key


def _refuse_vague(table: Table, query: Query, terminal: str, key: Iterable[Column], operators: Sequence[str]) -> None:
    """Refuse a query that does not name these key columns, each once, by one of the operators, and nothing else."""
    names = [column.name for column in key]
    given = [term.column for term in query.terms if term.operator in operators and not term.token]
    if sorted(given) != sorted(names) or len(given) != len(query.terms):
        how = "= or __in" if len(operators) > 1 else "= (no __in beside a condition)"
        raise InvalidQueryError(
            f"{terminal}() names rows of {table.name} by {how} on each of ({', '.join(names)}) and nothing else, not "
            f"by ({', '.join(term.column for term in query.terms)}); nothing was sent"
        )


def _refuse_no_prefix(table: Table, query: Query) -> None:
    """Refuse a DELETE that does not name partitions, or names rows in them by anything but a prefix of their key."""
    if not query.terms:
        raise InvalidQueryError(
            f"find().delete() without a lookup would delete every row of {table.name}: use truncate(); nothing was sent"
        )
    operators = [[t.operator for t in query.terms if t.column == c.name and not t.token] for c in table.primary_key]
    named = list(takewhile(lambda found: found in _ONE_EXACTLY, operators))
    ranged = next(iter(operators[len(named) :]), [])
    is_prefix = len(named) >= len(table.partition_key) and len(named) + len(ranged) == len(query.terms)
    if not (is_prefix and _RANGES.issuperset(ranged)):
        partition, clustering = ([c.name for c in columns] for columns in (table.partition_key, table.clustering))
        raise InvalidQueryError(
            f"delete() names rows of {table.name} by = or __in on each of ({', '.join(partition)}), then on the first "
            f"of ({', '.join(clustering)}), the last of them by a range if need be; not by "
            f"({', '.join(term.column for term in query.terms)}); nothing was sent"
        )
