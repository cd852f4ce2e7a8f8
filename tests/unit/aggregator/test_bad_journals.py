"""
Bad journals, as a started aggregator meets them: it goes on with a fresh slot, says so, counts, and does not loop.

Rules that live here: each kind of damage is done to a journal that held something, and an aggregator is started on it
twice; what each file reader makes of it is tested in tests/unit/journal.
"""

from __future__ import annotations

import logging
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from aggregator.core.ledger import Change
from aggregator.exceptions import JournalError
from aggregator.journal.format import LOG_HEADER, frame
from aggregator.journal.records import payloads_of
from tests.support.models import PageHits
from tests.unit.aggregator.conftest import Store
from tests.unit.aggregator.exact import ExactHits, by_writer, copied, die, quiet, sums, writer_of

Damage = Callable[[Path], object]


def leave(journal: Path) -> Path:
    """Leave a journal with four units in it that are not written, and return its slot."""
    left = quiet(journal).start()
    ExactHits(url="/").increment(views=3)
    PageHits(url="/").increment(views=1)
    die(left)
    return journal / "slot-0000"


def change(name: str, offset: int, data: bytes) -> Damage:
    def damage(slot: Path) -> None:
        content = bytearray((slot / name).read_bytes())
        content[offset : offset + len(data)] = data
        (slot / name).write_bytes(content)

    return damage


def instead(put: Callable[[Path], object]) -> Damage:
    def damage(slot: Path) -> None:
        (slot / "log").unlink()
        put(slot / "log")

    return damage


def append(*payloads: bytes) -> Damage:
    """Add records that are whole, with a good checksum."""

    def damage(slot: Path) -> None:
        log = (slot / "log").read_bytes()
        salt = int(log.split(b'"salt":')[1].split(b",")[0])
        seq, offset = 0, LOG_HEADER
        while offset < len(log):
            length, _crc, seq = struct.unpack_from("<IIQ", log, offset)
            offset += 16 + length
        records = [frame(number, payload, salt) for number, payload in enumerate(payloads, seq + 1)]
        (slot / "log").write_bytes(log + b"".join(records))

    return damage


BAD: dict[str, Damage] = {
    "0 bytes": lambda slot: (slot / "log").write_bytes(b""),
    "half a header": lambda slot: os.truncate(slot / "log", 100),
    "wrong magic": change("log", 0, b"#!/bin/s"),
    "future version": change("log", 8, b"\2"),
    "damaged header": change("log", 30, b"\0"),
    "damaged middle": change("log", LOG_HEADER + 20, b"\xff\xff"),
    "record of 4 GiB in the middle": change("log", LOG_HEADER, b"\xff\xff\xff\xff"),
    "symlink": instead(lambda log: log.symlink_to("/etc/passwd")),
    "symlink to nowhere": instead(lambda log: log.symlink_to("nowhere")),
    "directory": instead(lambda log: log.mkdir()),
    "fifo": instead(os.mkfifo),
    "no log": lambda slot: (slot / "log").unlink(),
    "a record that is nonsense": append(b"\xc1nonsense"),
    "a record that is empty": append(b"\x90"),
    "a record of text": append(b'["change", 0]'),
    "state of 0 bytes": lambda slot: (slot / "state.array").write_bytes(b""),
    "state that is a directory": lambda slot: ((slot / "state.array").unlink(), (slot / "state.array").mkdir()),
    "state of wrong magic": change("state.array", 0, b"#!/bin/s"),
    "totals of wrong magic": change("t0.c0.total.array", 0, b"#!/bin/s"),
    "totals of a future version": change("t0.c0.total.array", 8, b"\2"),
    "totals cut short": lambda slot: os.truncate(slot / "t0.c0.total.array", 5000),
    "totals of 0 bytes": lambda slot: (slot / "t0.c0.total.array").write_bytes(b""),
    "totals that are a symlink": lambda slot: (
        (slot / "t0.c0.total.array").unlink(),
        (slot / "t0.c0.total.array").symlink_to("/etc/passwd"),
    ),
    "totals that are a fifo": lambda slot: (
        (slot / "t0.c0.total.array").unlink(),
        os.mkfifo(slot / "t0.c0.total.array"),
    ),
    "totals of another column": lambda slot: shutil.copyfile(slot / "t0.c0.settled.array", slot / "t0.c0.total.array"),
}


def errors_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_journal_is_set_aside_and_counting_goes_on(
    exact_store: Store, journal: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    BAD[name](leave(journal))
    caplog.clear()
    with quiet(journal) as aggregator:
        assert (writer := writer_of(aggregator)).split("/")[1] == "0"
        ExactHits(url="/").increment(views=10)
        assert aggregator.flush().remaining == 0
        assert aggregator.stats().accepted == 10  # nothing of the bad slot was counted
    assert len(errors_of(caplog)) == 1
    assert "slot-0000 was set aside as" in errors_of(caplog)[0]
    assert (journal / "slot-0000.corrupt-1").is_dir()
    caplog.clear()
    with quiet(journal) as again:
        assert writer_of(again) == writer
        ExactHits(url="/").increment(views=1)
    assert errors_of(caplog) == []
    assert sorted(place.name for place in journal.glob("slot-*")) == ["slot-0000", "slot-0000.corrupt-1"]
    assert (sums(), sums(PageHits)) == ({"/": {"views": 11}}, {})


HARMLESS: dict[str, tuple[Damage, int]] = {
    "header only": (lambda slot: os.truncate(slot / "log", LOG_HEADER), 0),
    "half a record at the end": (lambda slot: os.truncate(slot / "log", (slot / "log").stat().st_size - 3), 3),
    "record of 4 GiB at the end": (
        lambda slot: (slot / "log").write_bytes((slot / "log").read_bytes() + b"\xff" * 20),
        3,
    ),
    "of the year 2099": (lambda slot: os.utime(slot / "log", (4_070_908_800, 4_070_908_800)), 3),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_journal_that_can_be_gone_on_with(
    exact_store: Store, journal: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Half a record stands for an increment that did not return: of a native row here, which was told last."""
    damage, left = HARMLESS[name]
    damage(leave(journal))
    for _ in range(2):
        with quiet(journal):
            ExactHits(url="/").increment(views=10)
    assert (errors_of(caplog), sums()) == ([], {"/": {"views": left + 20}})
    assert [place.name for place in journal.glob("slot-*")] == ["slot-0000"]


def test_a_record_of_a_table_that_was_never_told_of_is_not_replayed(
    exact_store: Store, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(*payloads_of(77, Change(keys={0: "/"})))(leave(journal))
    with quiet(journal):
        ExactHits(url="/").increment(views=1)
    assert "makes no sense" in errors_of(caplog)[0]
    assert sums() == {"/": {"views": 1}}


def test_of_two_slots_with_one_writer_the_copy_is_set_aside(
    exact_store: Store, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slot = leave(journal)
    shutil.copytree(slot, journal / "slot-0001")
    first = quiet(journal).start()
    assert first._machine is not None
    ExactHits(url="/").increment(views=4)
    writer = writer_of(first)
    for _ in range(2):
        first.flush()  # the flusher looks for orphans between two
    first.shutdown()
    assert sums() == {"/": {"views": 7}}
    assert list(by_writer()) == [writer]
    assert (journal / "slot-0001.corrupt-1").is_dir()
    assert "a copy is not replayed" in errors_of(caplog)[0]
    with quiet(journal):
        pass
    assert len(errors_of(caplog)) == 1
    assert sums(PageHits) == {"/": {"views": 1}}


@pytest.mark.parametrize("kind", ["file", "fifo", "symlink"])
def test_what_is_no_directory_refuses_the_start_and_nothing_is_started(store: Store, journal: Path, kind: str) -> None:
    {"file": Path.touch, "fifo": os.mkfifo, "symlink": lambda place: place.symlink_to("/etc")}[kind](journal)
    for _ in range(2):
        with pytest.raises(JournalError, match="is no directory"):
            quiet(journal).start()
    PageHits(url="/").increment(views=1)  # directly: nobody is started
    assert store.stored() == {"/": {"views": 1}}


def test_a_copied_directory_is_not_replayed_beside_its_original(exact_store: Store, journal: Path) -> None:
    leave(journal)
    other = copied(journal, "copy")
    for place in (other, journal):
        with quiet(place):
            pass
    assert sums() == {"/": {"views": 3}}
