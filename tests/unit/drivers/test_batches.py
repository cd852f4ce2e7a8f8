"""Rows that share an unlogged batch: which do, in what order, and how a refused batch is taken apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from coodie.cql import render
from coodie.drivers.batches import BYTES_MAX, Parcel, parcels, settle_parcel
from coodie.drivers.outcomes import outcome_of
from coodie.exceptions import MaybeApplied, RowRejected, TableRejected
from coodie.plans import exact
from coodie.schema import Column, Table
from coodie.statement import APPLIED, Batch, CounterUpdate, Insert, Outcome, Statement

HITS = Table(
    "hits",
    (Column("url", "text", partition_index=0), Column("views", "counter", int, counter=True)),
    "web",
    counters="exact",
)
WRITE = exact.write(HITS, ("views",))
OTHER = Statement(CounterUpdate(HITS, ("views",)), (), render)


def row(number: int, url: str = "") -> tuple[Any, ...]:
    return (url or f"/{number}", "host/0/1", number, 1_000_000 + number)


def made(*rows: tuple[Any, ...], template: Statement = WRITE) -> list[Parcel]:
    return list(parcels((template, each) for each in rows))


def counts(found: list[Parcel]) -> list[int]:
    return [1 if rows is None else rows.count(values) for _, _, values, rows in found]


def test_ten_rows_share_a_batch_and_the_rest_another() -> None:
    found = made(*map(row, range(24)))
    assert counts(found) == [10, 10, 4]
    assert [index for index, _, _, _ in found] == [0, 10, 20]
    assert found[0][1] is found[1][1]  # one object, so a driver knows it by identity
    assert found[0][1].shape == Batch((WRITE.shape,) * 10)
    assert found[0][1].consistency == "LOCAL_QUORUM"
    assert found[0][1].idempotent
    assert found[0][1].cql.count("?") == len(found[0][2]) == 40
    assert found[0][2][:8] == (*row(0), *row(1))


def test_a_row_alone_is_sent_as_it_is() -> None:
    assert made(row(7)) == [(0, WRITE, row(7), None)]


def test_other_statements_are_sent_one_by_one_and_keep_their_places() -> None:
    items = [(WRITE, row(0)), (WRITE, row(1)), (OTHER, (1, "/a")), (OTHER, (1, "/b")), (WRITE, row(2)), (WRITE, row(3))]
    found = list(parcels(items))
    assert [index for index, _, _, _ in found] == [0, 2, 3, 4]
    assert counts(found) == [2, 1, 1, 2]


def test_no_more_is_taken_than_the_next_parcel_needs() -> None:
    taken: list[int] = []

    def work() -> Iterator[tuple[Statement, tuple[Any, ...]]]:
        for number in range(1_000):
            taken.append(number)
            yield (WRITE, row(number)) if number < 500 else (OTHER, (1, "/a"))

    stream = parcels(work())
    next(stream)
    assert len(taken) == 10
    for _ in range(50):
        next(stream)
    assert len(taken) == 501


@pytest.mark.parametrize(("length", "expected"), [(80, [10, 10]), (600, [6, 4, 6, 4]), (6_000, [1] * 20)])
def test_batches_stay_below_what_the_server_warns_of(length: int, expected: list[int]) -> None:
    found = made(*(row(number, f"/{number:0{length}}") for number in range(20)))
    assert counts(found) == expected
    for _, _, values, rows in found:
        assert rows is None or sum(len(str(value)) for value in values) <= BYTES_MAX


def test_letters_beyond_ascii_count_as_what_they_may_take() -> None:
    assert counts(made(*(row(number, f"{number:02}" + "\u2603" * 150) for number in range(20)))) == [6, 4, 6, 4]


def test_a_row_of_the_wrong_width_spoils_no_other() -> None:
    found = made(row(0), row(1)[:-1], row(2))
    assert [(index, values, rows) for index, _, values, rows in found] == [
        (0, row(0), None),
        (1, row(1)[:-1], None),
        (2, row(2), None),
    ]


def test_what_was_taken_before_the_work_raised_is_sent_first() -> None:
    def work() -> Iterator[tuple[Statement, tuple[Any, ...]]]:
        for number in range(13):
            yield WRITE, row(number)
        raise LookupError("the end")

    found: list[Parcel] = []
    with pytest.raises(LookupError, match="the end"):
        found.extend(parcels(work()))
    assert counts(found) == [10, 3]


def test_a_key_of_an_odd_type_is_measured_by_its_text() -> None:
    assert counts(made(*((number, "w", 1, 1) for number in range(3)))) == [3]  # refused later, by the encoder


def test_each_item_is_told_one_fate_for_all_of_a_batch() -> None:
    told: list[tuple[int, Outcome, int]] = []

    def settle(index: int, outcome: Outcome, count: int = 1) -> None:
        told.append((index, outcome, count))

    [single] = made(row(0))
    [batch] = made(*map(row, range(3)))
    unknown = outcome_of(MaybeApplied("lost"))
    gone = outcome_of(TableRejected("no such table"))
    for parcel, outcome in ((single, APPLIED), (batch, APPLIED), (batch, unknown), (batch, gone)):
        assert settle_parcel(settle, parcel, outcome) == []
    assert told == [(0, APPLIED, 1), (0, APPLIED, 3), (0, unknown, 3), (0, gone, 3)]


def test_a_batch_refused_for_a_row_is_taken_apart_and_nothing_told() -> None:
    def settle(index: int, outcome: Outcome, count: int = 1) -> None:
        raise AssertionError("told")

    refused = outcome_of(RowRejected("Key may not be empty"))
    batch = made(*map(row, range(13)))[1]
    assert settle_parcel(settle, batch, refused) == [(number, WRITE, row(number), None) for number in range(10, 13)]


def test_a_settle_that_takes_no_count_is_never_given_one_for_a_row() -> None:
    told: dict[int, Outcome] = {}
    for parcel in made(row(0), template=OTHER):
        settle_parcel(told.setdefault, parcel, APPLIED)
    assert told == {0: APPLIED}


def test_only_plain_upserts_share_a_batch() -> None:
    assert isinstance(WRITE.shape, Insert)
    odd = Statement(OTHER.shape, (), render, together=10)
    assert counts(made((1, "/a"), (1, "/b"), template=odd)) == [1, 1]
