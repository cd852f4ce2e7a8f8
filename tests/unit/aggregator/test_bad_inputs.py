"""
The 25 bad inputs, one case each, through the public API on the embedded store.

Rules that live here: after every case the account adds up, a good increment still goes through, and nothing of the bad
input is stored. What another place covers is a row of the table all the same: it says where, or why not.
"""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest

from aggregator import Aggregator, current
from coodie.exceptions import InvalidQueryError
from coodie.fields import Counter, Frozen, PrimaryKey, SmallInt
from coodie.sync import CounterDocument
from tests.support.models import PageHits
from tests.unit.aggregator.conftest import Store, identity
from tests.unit.aggregator.exact import DailyHits, ExactHits, die, quiet, sums

Case = Callable[[Aggregator], None]
KINDS: dict[str, Any] = {
    "texts": str,
    "ints": int,
    "smalls": Annotated[int, SmallInt()],
    "flags": bool,
    "ids": UUID,
    "times": datetime,
    "days": date,
    "lists": Annotated[list[str], Frozen()],
    "blobs": bytes,
}
CASES: dict[int, Case | str] = {
    24: "frames of the host's daemon: there is none yet (mode='agent' is refused); issue 6 builds it and its reader",
    25: "files that are no journal: test_bad_journals.py beside this file, and tests/unit/journal/test_directory.py",
}


def model(table: str, kind: Any, counters_as: str = "native") -> Any:
    """Return a counter document with one key column of a kind, its table made."""

    class Keyed(CounterDocument):
        key: Annotated[kind, PrimaryKey()]
        hits: Annotated[int, Counter()]

        class Settings:
            name = table
            counters = counters_as

    Keyed.sync_table()
    return Keyed


class Whole(enum.IntEnum):
    """An integer by another name."""

    FIVE = 5


class Index:
    """What counts as an integer, as numpy's do, without being one."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def case(number: int) -> Callable[[Case], Case]:
    def entered(function: Case) -> Case:
        CASES[number] = function
        return function

    return entered


def running() -> Aggregator:
    started = current()
    assert started is not None
    return started


def refused(page: PageHits, said: str, **deltas: Any) -> None:
    """Expect an increment, on every road into the buffer, to be refused with nothing accepted."""
    aggregator = running()
    before = aggregator.stats().accepted, aggregator.pending()
    roads: tuple[Callable[[], object], ...] = (
        lambda: page.increment(**deltas),
        lambda: page.decrement(**deltas),
        lambda: aggregator.increment_many(PageHits, [({"url": page.url}, deltas)]),
    )
    for road in roads:
        for _ in range(2):  # the second time by the compiled method
            with pytest.raises(InvalidQueryError, match=said) as caught:
                road()
            assert isinstance(caught.value, ValueError)
    with aggregator.request(), pytest.raises(InvalidQueryError, match=said):
        page.increment(**deltas)
    assert (aggregator.stats().accepted, aggregator.pending()) == before


def refused_key(kind: Any, good: Any, bad: Any, said: str = "'key'") -> None:
    """Expect a key to be refused: in a document that pydantic did not check, and given to ``increment_many``."""
    document = kind(key=good)
    document.key = bad
    unchecked = kind.model_construct(key=bad)
    for call in (
        lambda: document.increment(hits=1),
        lambda: unchecked.increment(hits=1),
        lambda: running().increment_many(kind, [({"key": bad}, {"hits": 1})]),
        lambda: running().increment_many(kind, [(bad, {"hits": 1})]),
    ):
        with pytest.raises(InvalidQueryError, match=said):
            call()


def count(kind: Any, *keys: Any) -> list[Any]:
    """Add one to each of these keys and return the keys that are pending now."""
    assert running().increment_many(kind, [({"key": key}, {"hits": 1}) for key in keys]) == len(keys)
    return [key[0] for _table, key in running().pending()]


# --- deltas -------------------------------------------------------------------------------------------------------


@case(1)
def too_large_a_delta(_aggregator: Aggregator) -> None:
    refused(PageHits(url="/"), "not one of 64 bits", views=2**63)
    refused(PageHits(url="/"), "not one of 133 bits", views=10**40)


@case(2)
def a_delta_whose_negation_does_not_fit(_aggregator: Aggregator) -> None:
    refused(PageHits(url="/"), r"strictly between -2\*\*63 and 2\*\*63", views=-(2**63))


@case(3)
def two_legal_deltas_whose_sum_leaves_64_bits(aggregator: Aggregator) -> None:
    for sign in (1, -1):
        page = PageHits(url=f"/{sign}")
        page.increment(views=sign * (2**63 - 1))
        page.increment(unique_visitors=1)
        before = aggregator.pending()
        for deltas in ({"views": sign * 2}, {"views": sign * 2**62, "unique_visitors": 1}):
            with pytest.raises(InvalidQueryError, match="beyond 64 bits"):
                page.increment(**deltas)
        assert aggregator.pending() == before  # all or none: the other column gained nothing
        page.increment(views=-sign)
        assert aggregator.pending(PageHits, url=f"/{sign}")["views"] == sign * (2**63 - 2)
    with aggregator.request():
        PageHits(url="/scope").increment(views=2**63 - 1)
        with pytest.raises(InvalidQueryError, match="beyond 64 bits"):
            PageHits(url="/scope").increment(views=1)


@case(4)
def a_truth_value(_aggregator: Aggregator) -> None:
    for value in (True, False):
        refused(PageHits(url="/"), "takes an integer, not bool", views=value)


@case(5)
def what_is_no_integer(_aggregator: Aggregator) -> None:
    for value in (1.0, 1.5, float("nan"), float("inf"), Decimal(1), "1", b"1", None, [1]):
        refused(PageHits(url="/"), f"takes an integer, not {type(value).__name__}", views=value)
        refused(PageHits(url="/"), f"takes an integer, not {type(value).__name__}", views=1, unique_visitors=value)


@case(6)
def nothing_at_all(aggregator: Aggregator) -> None:
    PageHits(url="/").increment(views=0)
    PageHits(url="/").decrement(views=0, unique_visitors=0)
    assert aggregator.increment_many(PageHits, [("/", {"views": 0})]) == 1
    assert (aggregator.pending(), aggregator.flush().statements) == ({}, 0)
    assert PageHits.find_one(url="/") is None


@case(7)
def integers_of_other_types(aggregator: Aggregator) -> None:
    page = PageHits(url="/")
    for value in (Whole.FIVE, Index(5)):
        for _ in range(2):
            page.increment(views=value)
        page.decrement(views=value)
    assert aggregator.pending(PageHits, url="/") == {"views": 10}
    refused(page, "not one of 64 bits", views=Index(2**63))


# --- keys ---------------------------------------------------------------------------------------------------------


@case(8)
def no_value_in_a_key(_aggregator: Aggregator) -> None:
    with pytest.raises(ValueError, match="key"):
        model("texts", str)(key=None)
    refused_key(model("texts", str), "a", None, "None")
    refused_key(model("ints", int), 1, None, "None")


@case(9)
def an_empty_partition_key(_aggregator: Aggregator) -> None:
    refused_key(model("texts", str), "a", "")
    refused_key(model("blobs", bytes), b"a", b"")


@case(10)
def too_long_a_key(aggregator: Aggregator) -> None:
    texts = model("texts", str)
    refused_key(texts, "a", "x" * 65_536, "65535 bytes")
    refused_key(texts, "a", "é" * 32_768, "65535 bytes")
    assert count(texts, "x" * 65_535) == ["x" * 65_535]
    assert aggregator.flush().applied == 1


@case(11)
def a_zero_character(aggregator: Aggregator) -> None:
    texts = model("texts", str)
    count(texts, "a\0b", "a")
    assert aggregator.flush().applied == 2
    assert {row.key: row.hits for row in texts.find()} == {"a\0b": 1, "a": 1}


@case(12)
def half_a_surrogate_pair(_aggregator: Aggregator) -> None:
    for text in ("\ud800", "/a\ud800b"):
        refused_key(model("texts", str), "a", text, "lone surrogate")


@case(13)
def two_spellings_of_one_text(aggregator: Aggregator) -> None:
    texts = model("texts", str)
    spellings = [unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")]
    assert count(texts, *spellings) == spellings
    aggregator.flush()
    assert sorted(row.key for row in texts.find()) == sorted(spellings)


@case(14)
def what_python_calls_equal(aggregator: Aggregator) -> None:
    ints, flags, texts = model("ints", int), model("flags", bool), model("texts", str)
    for bad in (1.0, True, "1", Decimal(1)):
        refused_key(ints, 2, bad)
    for bad in (1, 1.0):
        refused_key(flags, False, bad)
    for bad in (1, 1.0, True, b"a"):
        refused_key(texts, "a", bad)
    count(ints, 1)
    document = ints(key=1)
    document.key = True  # found by the fast path: the row that is held has the one right spelling
    document.increment(hits=1)
    assert {type(key[0]): deltas for (_, key), deltas in aggregator.pending().items()} == {int: {"hits": 2}}


@case(15)
def an_integer_beyond_its_column(aggregator: Aggregator) -> None:
    for kind, edge in ((model("ints", int), 2**31), (model("smalls", KINDS["smalls"]), 2**15)):
        refused_key(kind, 1, edge)
        refused_key(kind, 1, -edge - 1)
        count(kind, edge - 1, -edge)
    assert aggregator.flush().applied == 4


@case(16)
def one_moment_in_several_forms(_aggregator: Aggregator) -> None:
    times, days = model("times", datetime), model("days", date)
    noon = datetime(2024, 5, 1, 12, 0, 0, 123_456)  # noqa: DTZ001 - a naive one is the case
    aware = noon.replace(tzinfo=UTC)
    forms = (noon, aware, aware.astimezone(timezone(timedelta(hours=2))), noon.replace(microsecond=123_000))
    assert count(times, *forms) == [aware.replace(microsecond=123_000)]
    refused_key(times, noon, date(2024, 5, 1))
    refused_key(days, date(2024, 5, 1), noon)


@case(17)
def one_uuid_in_several_forms(_aggregator: Aggregator) -> None:
    known = UUID("ABCDEF01-2345-6789-abcd-ef0123456789")
    ids = model("ids", UUID)
    assert count(ids, known, str(known), str(known).upper(), known.hex) == [known]
    refused_key(ids, known, "no uuid")


# --- names --------------------------------------------------------------------------------------------------------


@case(18)
def a_counter_that_is_not_there(_aggregator: Aggregator) -> None:
    for deltas in ({"view": 1}, {"views": 1, "view": 1}, {"VIEWS": 1}, {"": 1}):
        refused(PageHits(url="/"), "does not exist", **deltas)
    refused(PageHits(url="/"), "at least one counter")


@case(19)
def too_many_values(aggregator: Aggregator) -> None:
    texts = model("texts", str)
    rows: tuple[tuple[Any, Mapping[str, int]], ...] = (
        (("a", "b"), {"hits": 1}),
        ((), {"hits": 1}),
        ({"key": "a", "other": 1}, {"hits": 1}),
        ({}, {"hits": 1}),
        ("a", {"hits": 1, "other": 1}),
        ("a", {"hits": 1, "key": 1}),
    )
    for row in rows:
        with pytest.raises(InvalidQueryError, match=r"row 1 of increment_many\(\).*the 1 rows before it count"):
            aggregator.increment_many(texts, [("good", {"hits": 1}), row])
    with pytest.raises(TypeError):
        texts(key="a").increment(1)
    assert aggregator.pending() == {("texts", ("good",)): {"hits": len(rows)}}


@case(20)
def table_names_that_would_be_something_else(aggregator: Aggregator) -> None:
    for name in ("hits; DROP TABLE x", "ks.tbl.extra", "h" * 49, "h\u0456ts", 'x"y', "a\0b", "with space", " hits"):
        with pytest.raises(InvalidQueryError, match="is not a valid table name"):
            model(name, str)
    for name in ("select", "HITS", '"x"'):  # odd, and quoted wherever they are written
        count(model(name, str), "a")
    assert aggregator.flush().applied == 3


@case(21)
def a_column_that_is_no_counter(_aggregator: Aggregator) -> None:
    refused(PageHits(url="/"), "is part of the primary key", url=1)
    with pytest.raises(InvalidQueryError, match="counter"):

        class Mixed(CounterDocument):
            key: Annotated[str, PrimaryKey()]
            hits: Annotated[int, Counter()]
            title: str

        Mixed.sync_table()


@case(22)
def a_key_that_is_changed_afterwards(aggregator: Aggregator) -> None:
    lists, blobs = model("lists", KINDS["lists"]), model("blobs", bytes)
    names, data = ["a"], bytearray(b"x")
    assert count(lists, names) == [("a",)]
    assert count(blobs, data) == [("a",), b"x"]
    names.append("b")
    data += b"y"
    document = lists(key=["a"])
    document.increment(hits=1)
    document.key.append("c")
    assert aggregator.pending() == {("lists", (("a",),)): {"hits": 2}, ("blobs", (b"x",)): {"hits": 1}}


@case(23)
def one_huge_partition_and_many_small_ones(aggregator: Aggregator) -> None:
    """What is sent to a server together is bounded in tests/unit/drivers/test_batches.py."""
    DailyHits.sync_table()
    aggregator.increment_many(DailyHits, ((("one", day), {"views": 1}) for day in range(10_000)))
    aggregator.increment_many(DailyHits, (((f"site {n}", 0), {"views": 1}) for n in range(500)))
    assert (aggregator.flush().errors, aggregator.stats().applied, aggregator.stats().flush_errors) == ([], 10_500, 0)
    assert sum(totals["views"] for totals in sums(DailyHits).values()) == 10_500


# --- the table ----------------------------------------------------------------------------------------------------


@pytest.fixture
def aggregator(store: Store) -> Iterator[Aggregator]:
    store.serve_real()
    with quiet() as started:
        yield started


def test_every_bad_input_has_its_row() -> None:
    assert sorted(CASES) == list(range(1, 26))
    assert [number for number, found in CASES.items() if isinstance(found, str)] == [24, 25]


@pytest.mark.parametrize("number", sorted(number for number, found in CASES.items() if callable(found)))
def test_a_bad_input(aggregator: Aggregator, number: int) -> None:
    found = CASES[number]
    assert callable(found)
    found(aggregator)
    assert identity(aggregator.stats())
    PageHits(url="/good").increment(views=1)
    PageHits(url="/good").increment(views=1)
    result = aggregator.flush()
    assert (result.errors, result.dropped, result.remaining) == ([], 0, 0)
    assert PageHits.get(url="/good").views == 2
    stats = aggregator.stats()
    assert (stats.accepted, stats.unknown, stats.dropped) == (stats.applied, 0, 0)


@pytest.mark.parametrize("mode", ["direct", "null"])
def test_other_modes_refuse_the_same(store: Store, mode: str) -> None:
    with Aggregator(mode=mode) as aggregator:
        for delta in (2**63, -(2**63), True, 1.0, "1", None):
            with pytest.raises(InvalidQueryError):
                PageHits(url="/").increment(views=delta)
        for url in (None, "", "\ud800", 1, "x" * 65_536):
            with pytest.raises(InvalidQueryError):
                PageHits.model_construct(url=url).increment(views=1)
        assert (aggregator.stats().accepted, aggregator.stats().dropped, store.statements) == (0, 0, [])


KEYS: dict[str, list[Any]] = {
    "texts": ["a\0b", "\n\r", "é", "e\u0301", "\U0010ffff", "' OR 1=1 --", "x" * 65_535],
    "ints": [0, -(2**31), 2**31 - 1],
    "flags": [True, False],
    "ids": [UUID(int=0), UUID(int=2**128 - 1)],
    "times": [datetime(1970, 1, 1, tzinfo=UTC), datetime(1907, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)],
    "days": [date(1, 1, 1), date(9999, 12, 31)],
    "lists": [("a", "b"), ("a\0b",)],
    "blobs": [b"\0", b"\xff" * 3],
}


@pytest.mark.parametrize("counters_as", ["native", "exact"])
@pytest.mark.parametrize("name", KEYS)
def test_odd_keys_come_back_from_a_journal_as_they_were(
    store: Store, journal: Path, name: str, counters_as: str
) -> None:
    store.serve_real()
    kind = model(name, KINDS[name], counters_as)
    aggregator = quiet(journal).start()
    assert aggregator.increment_many(kind, [({"key": key}, {"hits": 3}) for key in KEYS[name]]) == len(KEYS[name])
    before = aggregator.pending()
    die(aggregator)
    with quiet(journal) as again:
        assert again.pending() == before == {(name, (key,)): {"hits": 3} for key in KEYS[name]}
        assert again.increment_many(kind, [({"key": key}, {"hits": 1}) for key in KEYS[name]]) == len(KEYS[name])
        assert len(again.pending()) == len(KEYS[name])
        assert (again.flush().applied, again.flush().statements) == (4 * len(KEYS[name]), 0)
    stored = {tuple(row.key) if isinstance(row.key, list) else row.key: row.hits for row in kind.find()}
    assert {key.replace(tzinfo=UTC) if isinstance(key, datetime) else key for key in stored} == set(KEYS[name])
    assert set(stored.values()) == {4}


def test_no_key_stands_in_the_log_lines_of_a_refusal(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    ExactHits.sync_table()
    with quiet(), caplog.at_level("INFO"):
        page = ExactHits(url="secret\r\nkey")
        page.increment(views=2**63 - 1)
        with pytest.raises(InvalidQueryError) as caught:
            page.increment(views=1)
    assert caplog.records  # of an exact table without a journal, at the least
    assert "secret" not in f"{caught.value}{caplog.text}"
