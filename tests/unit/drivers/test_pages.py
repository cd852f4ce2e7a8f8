"""The seal on a page's state: what we gave comes back as it was, and nothing else passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coodie.drivers.pages import sealed, unsealed
from coodie.exceptions import InvalidQueryError
from coodie.statement import Rows


@given(st.binary())
def test_what_was_sealed_comes_back_as_it_was(state: bytes) -> None:
    page = sealed(Rows([{"a": 1}], state))
    assert page.items == [{"a": 1}]
    assert unsealed(page.paging_state) == state


def test_the_last_page_has_no_state() -> None:
    last = Rows([{"a": 1}])
    assert sealed(last) is last
    assert unsealed(None) is None


@given(st.binary(min_size=1, max_size=40), st.integers(0, 43), st.integers(1, 255))
def test_a_state_that_was_changed_or_cut_is_refused(state: bytes, place: int, change: int) -> None:
    whole = sealed(Rows([], state)).paging_state
    assert whole is not None
    place %= len(whole)
    changed = whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :]
    for torn in (changed, whole[:-1], state, b""):
        with pytest.raises(InvalidQueryError, match="paging_state is not one that this query gave; nothing was sent"):
            unsealed(torn)
