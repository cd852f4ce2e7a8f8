"""Plans of increments: what is sent, and what is refused before anything is."""

from __future__ import annotations

import enum
from datetime import date
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest

from coodie.exceptions import InvalidQueryError
from coodie.fields import Counter, PrimaryKey
from coodie.plans import counters
from coodie.schema import table_of
from coodie.sync import CounterDocument
from tests.unit.coodie.driving import drive
from tests.unit.coodie.models import DailyHits, PageHits

HITS = table_of(PageHits)
DAILY = table_of(DailyHits)
SECTION = UUID("11111111-2222-3333-4444-555555555555")


def sent(document: Any, deltas: dict[str, Any], sign: int = 1) -> tuple[str, tuple[Any, ...]]:
    (statement,), _ = drive(counters.increment(document, table_of(type(document)), deltas, sign))
    return statement.cql, statement.values


def test_one_update_adds_every_delta() -> None:
    text, values = sent(PageHits(url="/home"), {"views": 1, "unique_visitors": 2})
    assert text == (
        'UPDATE page_hits SET "views" = "views" + ?, "unique_visitors" = "unique_visitors" + ? WHERE "url" = ?'
    )
    assert values == (1, 2, "/home")


def test_a_decrement_adds_the_negated_delta() -> None:
    assert sent(PageHits(url="/home"), {"views": 3}, sign=-1)[1] == (-3, "/home")


def test_columns_are_in_table_order_whatever_the_order_of_the_keywords() -> None:
    document = PageHits(url="/home")
    assert sent(document, {"unique_visitors": 2, "views": 1}) == sent(document, {"views": 1, "unique_visitors": 2})


def test_templates_of_one_shape_are_one_object() -> None:
    assert counters.update(HITS, ("views", "unique_visitors")) is counters.update(HITS, ("unique_visitors", "views"))
    assert counters.update(HITS, ("views",)) is not counters.update(HITS.qualified("web"), ("views",))


def test_the_key_follows_in_key_order() -> None:
    document = DailyHits(day=date(2024, 5, 1), section=SECTION, site="a.example")
    text, values = sent(document, {"hits": 4})
    assert text.endswith('WHERE "site" = ? AND "section" = ? AND "day" = ?')
    assert values == (4, "a.example", SECTION, date(2024, 5, 1))


def test_zero_deltas_send_nothing() -> None:
    assert drive(counters.increment(PageHits(url="/"), HITS, {"views": 0})) == ([], None)
    assert sent(PageHits(url="/"), {"views": 0, "unique_visitors": 1})[1] == (1, "/")


def test_a_field_that_was_changed_by_hand_is_checked_as_the_key() -> None:
    document = PageHits(url="/home")
    document.url = None  # type: ignore[assignment]  # what is refused is the case
    with pytest.raises(InvalidQueryError, match=r"'url'.*None"):
        counters.increment(document, HITS, {"views": 1})


@pytest.mark.parametrize(
    ("deltas", "said"),
    [
        ({}, "at least one counter to change: views, unique_visitors"),
        ({"likes": 1}, "'likes'.*does not exist.*views, unique_visitors"),
        ({"url": 1}, "'url'.*part of the primary key"),
        ({"views": 1, "likes": 1}, "'likes'"),
    ],
)
def test_bad_names_are_refused_at_the_call(deltas: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidQueryError, match=said) as caught:
        counters.increment(PageHits(url="/"), HITS, deltas)
    assert "nothing was written" in str(caught.value)


@pytest.mark.parametrize(
    "delta",
    [True, False, 1.0, 1.5, float("nan"), float("inf"), "1", b"1", None, [1], 2**63, -(2**63), 2**64, 10**40],
    ids=repr,
)
def test_bad_deltas_are_refused_at_the_call(delta: Any) -> None:
    with pytest.raises(InvalidQueryError, match=r"'views' takes .*integer.*nothing was written") as caught:
        counters.increment(PageHits(url="/"), HITS, {"views": delta})
    assert isinstance(caught.value, ValueError)


class Weight(enum.IntEnum):
    """An integer by another name."""

    HEAVY = 5


@pytest.mark.parametrize("delta", [1, -1, 2**63 - 1, -(2**63) + 1, Weight.HEAVY], ids=repr)
def test_every_integer_that_fits_with_its_sign_changed_is_taken(delta: int) -> None:
    checked = counters.checked_delta("views", delta)
    assert checked == delta
    assert type(checked) is int


@pytest.mark.parametrize(
    "url", ["", None, 5, b"/", "\ud800", "x" * 65_536, "é" * 40_000], ids=lambda url: repr(url)[:12]
)
def test_bad_keys_are_refused_without_showing_them(url: Any) -> None:
    document = PageHits(url="/")
    document.url = url
    with pytest.raises(InvalidQueryError, match=r"'url'") as caught:
        counters.key_of(document, HITS)
    assert "xxx" not in str(caught.value)


def test_the_longest_key_and_odd_characters_are_taken() -> None:
    for url in ("x" * 65_535, "a\0b", "\N{SNOWMAN}"):
        assert counters.key_of(PageHits(url=url), HITS) == (url,)


def test_a_composite_partition_key_is_measured_as_a_whole() -> None:
    document = DailyHits(site="x" * 65_530, section=SECTION, day=date(2024, 5, 1))
    with pytest.raises(InvalidQueryError, match=r"at most 65535 bytes"):
        counters.key_of(document, DAILY)


def test_part_of_a_composite_partition_key_may_be_empty() -> None:
    document = DailyHits(site="", section=SECTION, day=date(2024, 5, 1))
    assert counters.key_of(document, DAILY) == ("", SECTION, date(2024, 5, 1))


def test_the_parts_of_a_composite_partition_key_count_with_their_own_sizes() -> None:
    class Balances(CounterDocument):
        site: Annotated[str, PrimaryKey(partition_key_index=0)]
        amount: Annotated[Decimal, PrimaryKey(partition_key_index=1)]
        hits: Annotated[int, Counter()]

    fitting = Balances(site="x" * (65_535 - 3 - 3 - 5), amount=Decimal("1.5"))
    assert counters.key_of(fitting, table_of(Balances))[1] == Decimal("1.5")
    for site, amount in (("x" * 65_525, Decimal("1.5")), ("x" * 40_000, Decimal("7" * 100_000))):
        with pytest.raises(InvalidQueryError, match=r"partition key of table balances takes at most 65535 bytes"):
            counters.key_of(Balances(site=site, amount=amount), table_of(Balances))


def test_a_key_that_does_not_match_by_name_is_answered_with_the_columns_in_key_order() -> None:
    with pytest.raises(InvalidQueryError, match=r"is \(site, section, day\), not \(day\)"):
        counters.key_from({"day": date(2024, 5, 1)}, DAILY)
    values = {"day": date(2024, 5, 1), "section": SECTION, "site": "a.example"}
    assert counters.key_from(values, DAILY) == ("a.example", SECTION, date(2024, 5, 1))
