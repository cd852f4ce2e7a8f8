"""
Query: which rows are asked for, how they are shown, and how what is written to them is written, as an immutable value.

Rules that live here: values are kept in the order of their terms; an ``__in`` without alternatives matches no row, and
costs no round trip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from coodie.lookups import filters
from coodie.schema import Table
from coodie.statement import Term


@dataclass(frozen=True)
class Query:
    """
    What a QuerySet asks for, and how what it writes is written.

    ``columns`` None: all of them. ``as_tuples``: rows as tuples of ``columns``, then of the TOKEN of ``tokens``.
    ``page`` is the state of an earlier page; ``ttl`` and ``timeout`` are in s, ``timestamp`` in us since 1970.
    """

    terms: tuple[Term, ...] = ()
    values: tuple[Any, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    allow_filtering: bool = False
    fetch_size: int | None = None
    page: bytes | None = None
    consistency: str | None = None
    timeout: float | None = None
    columns: tuple[str, ...] | None = None
    as_tuples: bool = False
    tokens: tuple[str, ...] = ()
    casts: tuple[tuple[str, str], ...] = ()
    distinct: bool = False
    group_by: tuple[str, ...] = ()
    per_partition_limit: int | None = None
    ttl: int | None = None
    timestamp: int | None = None
    if_exists: bool = False
    if_not_exists: bool = False

    @property
    def is_empty(self) -> bool:
        """Return whether no row can match: an ``IN`` without alternatives."""
        return () in self.values and any(
            term.operator == "IN" and not value for term, value in zip(self.terms, self.values, strict=True)
        )

    @property
    def is_plain(self) -> bool:
        """Return whether whole rows are asked for, each that matches: what most queries are."""
        return self.columns is None and not (
            self.tokens or self.casts or self.distinct or self.group_by or self.per_partition_limit
        )

    def outline(self) -> str:
        """Return what is asked for as text for a person, a ``?`` for each value."""
        columns = (f"token({term.column})" if term.token else term.column for term in self.terms)
        terms = [f"{column} {term.operator} ?" for column, term in zip(columns, self.terms, strict=True)]
        options = fields(self)[2:]  # those after the terms and their values
        return ", ".join(terms + [f"{each.name} ?" for each in options if getattr(self, each.name) != each.default])

    def changed(self, **changes: Any) -> Query:
        """Return a query that differs in some fields."""
        query = object.__new__(Query)  # three times faster than dataclasses.replace; still frozen for everyone else
        query.__dict__.update(self.__dict__, **changes)
        return query

    def narrowed(self, table: Table, lookups: Mapping[str, Any]) -> Query:
        """Return the query of those of its rows that match every lookup too."""
        terms, values = filters(table, lookups)
        query = object.__new__(Query)  # as changed(), written out: part of every get()
        fields = query.__dict__
        fields.update(self.__dict__)
        fields["terms"], fields["values"] = self.terms + terms, self.values + values
        return query

    def key(self, table: Table) -> dict[str, Any] | None:
        """Return the primary key this query names, in key order, if it names a whole one and nothing else."""
        named = {
            term.column: value for term, value in zip(self.terms, self.values, strict=True) if term.operator == "="
        }
        if len(self.terms) != len(table.primary_key) or len(named) != len(self.terms):
            return None
        return {column.name: named[column.name] for column in table.primary_key}


EVERYTHING: Query = object.__new__(Query)  # as Query(), with nothing of its own: what is made from it copies little
