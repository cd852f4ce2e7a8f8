"""What is stored is the sum of what was applied, for any key and any delta; a model of a few lines is the oracle."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from coodie.drivers.sqlite import SQLiteDriver, counter_rows, flush
from coodie.statement import APPLIED, CounterUpdate, Fate, Statement
from tests.support.sqlite import hits_table, make, select, totals, write

MIN, MAX = -(2**63), 2**63 - 1

awkward = st.sampled_from(
    ["", "\0", "a\0", "a\0b", "'", '"', "`", "\\", "\\u0000", "%", "e\u0301", "é", "😀", "1", "1.0"]
)
keys = {
    "text": awkward | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    "blob": st.binary(max_size=4),
    "bigint": st.sampled_from([MIN, -1, 0, 1, MAX]) | st.integers(MIN, MAX),
    "double": st.floats(allow_nan=False),
    "varint": st.integers(-(2**70), 2**70),
    "uuid": st.uuids(),
    "date": st.dates(),
}
deltas = st.sampled_from([MIN, MIN + 1, -1, 0, 1, 2**62, MAX]) | st.integers(-5, 5)


@st.composite
def streams(draw):
    key_type = draw(st.sampled_from(sorted(keys)))
    key = st.sampled_from(draw(st.lists(keys[key_type], min_size=1, max_size=5)))
    return key_type, draw(st.lists(st.tuples(st.integers(0, 2), deltas, deltas, key), max_size=40))


@settings(max_examples=300, deadline=None)
@given(stream=streams(), rows_max=st.sampled_from([1, 2, 8, 4096]), chunk=st.sampled_from([1, 3, 16, 10_000]))
def test_totals_are_the_sums_of_what_was_applied(stream, rows_max, chunk):
    key_type, rows = stream
    counter_rows.ROWS_MAX, flush.CHUNK_ROWS = rows_max, chunk
    table = hits_table(key_type=key_type)
    templates = [Statement(CounterUpdate(table, names)) for names in (("views",), ("visitors",), ("views", "visitors"))]
    work = [(templates[which], (a, b, key) if which == 2 else (a, key)) for which, a, b, key in rows]
    driver = SQLiteDriver(":memory:")
    try:
        make(driver, table)
        outcomes = write(driver, work)
        expected: dict[object, tuple[int, int]] = {}
        for (which, a, b, key), outcome in zip(rows, outcomes, strict=True):
            if outcome is APPLIED:
                views, visitors = expected.get(key, (0, 0))
                gained = (a, b) if which == 2 else (a, 0) if which == 0 else (0, a)
                expected[key] = (views + gained[0], visitors + gained[1])
            else:
                assert outcome.fate is Fate.REJECTED
        assert totals(driver, table) == expected
        assert all(MIN <= number <= MAX for pair in expected.values() for number in pair)
        paged, state = [], None
        while state is not None or not paged:
            page = select(driver, table, fetch_size=2, paging_state=state)
            paged, state = paged + page.items, page.paging_state
            if not page.items:
                break
        assert paged == select(driver, table).items
    finally:
        driver.close()
        counter_rows.ROWS_MAX, flush.CHUNK_ROWS = 4096, 32_768


@settings(max_examples=100, deadline=None)
@given(deltas=st.lists(st.integers(-(2**61), 2**61), max_size=30))
def test_nothing_is_refused_where_nothing_overflows(deltas):
    table = hits_table()
    add = Statement(CounterUpdate(table, ("views",)))
    kept, applied = 0, []
    for delta in deltas:
        if MIN <= kept + delta <= MAX:
            kept += delta
            applied.append(delta)
    driver = SQLiteDriver(":memory:")
    try:
        make(driver, table)
        assert set(write(driver, [(add, (delta, "/")) for delta in applied])) <= {APPLIED}
        assert totals(driver, table) == ({"/": (kept, 0)} if applied else {})
    finally:
        driver.close()
