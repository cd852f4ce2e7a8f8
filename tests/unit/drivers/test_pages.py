"""The seal on a page's state: what we gave comes back to its query as it was, and nothing else passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coodie.cql import render
from coodie.drivers.pages import sealed, unsealed
from coodie.exceptions import InvalidQueryError
from coodie.schema import Column, Table
from coodie.statement import Rows, Select, Selected, Statement, Term

TABLE = Table("hits", (Column("url", "text", partition_index=0), Column("day", "int", clustering_index=0)), "web")
SHAPE = Select(TABLE, (), (Term("url", "IN"),))
QUERY = Statement(SHAPE, (("/a", "/b"),), render, fetch_size=2)
REFUSED = "paging_state is not one that this query gave: .*; nothing was sent"


def state_of(state: bytes, statement: Statement = QUERY) -> bytes:
    """Return a state as a statement gives it to the user."""
    given_out = sealed(Rows([], state), statement).paging_state
    assert given_out is not None
    return given_out


@given(st.binary())
def test_what_was_sealed_comes_back_as_it_was(state: bytes) -> None:
    page = sealed(Rows([{"a": 1}], state), QUERY)
    assert page.items == [{"a": 1}]
    assert unsealed(replace(QUERY, paging_state=page.paging_state)) == state


def test_the_last_page_has_no_state() -> None:
    last = Rows([{"a": 1}])
    assert sealed(last, QUERY) is last
    assert unsealed(QUERY) is None


@given(st.binary(min_size=1, max_size=40), st.integers(0, 47), st.integers(1, 255))
def test_a_state_that_was_changed_or_cut_is_refused(state: bytes, place: int, change: int) -> None:
    whole = state_of(state)
    place %= len(whole)
    changed = whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :]
    for torn in (changed, whole[:-1], state, b""):
        with pytest.raises(InvalidQueryError, match=REFUSED):
            unsealed(replace(QUERY, paging_state=torn))


@pytest.mark.parametrize(
    "changes",
    [
        {"values": (("/a", "/c"),)},
        {"shape": replace(SHAPE, limited=True), "values": (("/a", "/b"), 5)},
        {"shape": replace(SHAPE, distinct=True)},
        {"shape": replace(SHAPE, table=Table("other", TABLE.columns, "web"))},
    ],
)
def test_a_state_of_another_query_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidQueryError, match=REFUSED):
        unsealed(replace(QUERY, paging_state=state_of(b"state"), **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"fetch_size": 50},
        {"consistency": "ONE"},
        {"shape": replace(SHAPE, columns=(Selected("day"),))},
        {"values": (frozenset({"/b", "/a"}),)},
    ],
)
def test_how_a_query_is_sent_and_what_it_answers_of_a_row_may_change(changes: dict[str, Any]) -> None:
    assert unsealed(replace(QUERY, paging_state=state_of(b"state"), **changes)) == b"state"
