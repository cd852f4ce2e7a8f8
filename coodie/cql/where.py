"""
Conditions and USING clauses as CQL text.

Rules that live here: every value is a ``?``; an ``IN`` takes one ``?`` bound to the whole list, so that its text does
not depend on the number of alternatives.
"""

from __future__ import annotations

from coodie.cql.quote import column_name
from coodie.statement import Term


def where(terms: tuple[Term, ...]) -> str:
    """Return `` WHERE ...``, or nothing where there are no terms."""
    return f" WHERE {conjunction(terms)}" if terms else ""


def conditions(terms: tuple[Term, ...], if_exists: bool) -> str:
    """Return `` IF ...`` of a conditional write, or nothing."""
    if terms:
        return f" IF {conjunction(terms)}"
    return " IF EXISTS" if if_exists else ""


def using(*, ttl: bool = False, timestamp: bool = False) -> str:
    """Return `` USING ...`` with a ``?`` for each, or nothing."""
    parts = [text for wanted, text in ((ttl, "TTL ?"), (timestamp, "TIMESTAMP ?")) if wanted]
    return f" USING {' AND '.join(parts)}" if parts else ""


def conjunction(terms: tuple[Term, ...]) -> str:
    """Return terms joined by AND."""
    return " AND ".join(map(_term, terms))


def _term(term: Term) -> str:
    name = column_name(term.column)
    left, right = (f"TOKEN({name})", "?") if term.token else (name, "?")
    return f"{left} {term.operator} {right}"
