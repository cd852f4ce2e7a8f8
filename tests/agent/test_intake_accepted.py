"""What was accepted is moved once: through restarts, torn files, lost settlements and full bounds."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.agent.intake.accepted import Accepted
from aggregator.agent.intake.producers import SILENCE_S, Producers
from aggregator.agent.intake.refusal import Refusal
from aggregator.agent.intake.tables import read_tables
from aggregator.exceptions import JournalError
from tests.agent.intake_rig import journal_in, moved, request


def opened(folder: Path, **options) -> Accepted:
    journal = journal_in(folder)
    return Accepted(journal, read_tables(folder / "tables.toml"), **options)


def send(accepted: Accepted, sequence: int, *increments: tuple[str, int], producer="p", sender="uid:1"):
    return accepted.accept(sender, json.dumps(request(producer, sequence, *increments)).encode())


def views(found) -> dict[str, int]:
    return {key[0]: units for (_, key, _), units in found.items()}


@pytest.fixture
def accepted(tmp_path):
    made = opened(tmp_path)
    yield made
    made.close()


def test_what_is_accepted_is_merged_and_moved_once(accepted):
    assert send(accepted, 1, ("/a", 1), ("/b", 2), ("/a", 3)) == (3, False, 1)
    assert send(accepted, 2, ("/a", -1)) == (1, False, 2)
    assert accepted.waiting_rows == 2
    assert views(moved(accepted)) == {"/a": 3, "/b": 2}
    assert accepted.take(10) is None
    assert accepted.waiting_rows == 0


def test_a_repeated_or_older_sequence_counts_nothing_and_a_gap_is_allowed(accepted):
    send(accepted, 5, ("/a", 1))
    assert send(accepted, 5, ("/a", 1)) == (0, True, 5)
    assert send(accepted, 4, ("/a", 1)) == (0, True, 5)
    assert send(accepted, 9, ("/a", 1)) == (1, False, 9)
    assert send(accepted, 5, ("/a", 1), producer="q") == (1, False, 5)
    assert send(accepted, 5, ("/a", 1), sender="uid:2") == (1, False, 5)  # a producer is its sender's
    assert views(moved(accepted)) == {"/a": 4}


def test_a_refused_request_uses_up_no_sequence(accepted):
    with pytest.raises(Refusal, match=r"increments\[1\]"):
        send(accepted, 1, ("/a", 1), ("", 1))
    assert accepted.waiting_rows == 0
    assert send(accepted, 1, ("/a", 1)) == (1, False, 1)


def test_sums_of_nothing_are_not_moved_and_not_waited_for(accepted):
    send(accepted, 1, ("/a", 1), ("/a", -1), ("/b", 2))
    assert views(moved(accepted)) == {"/b": 2}
    assert accepted.waiting_rows == 0


def test_a_portion_is_bounded_and_unsettled_stays(accepted):
    send(accepted, 1, *((f"/{n}", 1) for n in range(10)))
    first = accepted.take(4)
    assert len(first.rows) == 4
    accepted.release()
    again = accepted.take(4)
    assert (again.rows, again.mark) == (first.rows, first.mark)
    assert accepted.settle(again.mark)
    assert accepted.settle(again.mark)
    assert sum(views(moved(accepted)).values()) == 6


def test_a_round_ends_though_requests_go_on_coming(accepted):
    send(accepted, 1, ("/a", 1))
    portion = accepted.take(10)
    send(accepted, 2, ("/b", 1))
    assert accepted.settle(portion.mark)
    assert accepted.take(10) is None
    assert views(moved(accepted)) == {"/b": 1}


def test_a_restart_brings_back_rows_sequences_and_what_is_settled(tmp_path):
    accepted = opened(tmp_path)
    send(accepted, 1, *((f"/{n}", 1) for n in range(10)))
    assert accepted.settle(accepted.take(4).mark)
    send(accepted, 2, ("/more", 1))
    accepted.close()
    again = opened(tmp_path)
    assert send(again, 2, ("/more", 1)).duplicate
    assert views(moved(again)) == {f"/{n}": 1 for n in range(4, 10)} | {"/more": 1}
    again.close()
    third = opened(tmp_path)
    assert send(third, 2, ("/more", 1)).duplicate
    assert third.take(10) is None
    third.close()


def test_a_row_whose_table_left_the_file_is_still_moved(tmp_path):
    accepted = opened(tmp_path)
    send(accepted, 1, ("/a", 1))
    accepted.close()
    (tmp_path / "tables.toml").write_text('[other]\ntable = "o"\nkey = { k = "int" }\ncounters = ["n"]\n')
    again = Accepted(tmp_path / "journal", read_tables(tmp_path / "tables.toml"))
    assert moved(again) == {("page_hits", ("/a",), "views"): 1}
    again.close()


def test_a_mark_of_another_intake_changes_nothing(tmp_path, accepted):
    (tmp_path / "other").mkdir()
    other = opened(tmp_path / "other")
    for sequence in range(1, 4):
        send(other, sequence, ("/x", 1))
        mark = other.take(10).mark
        assert other.settle(mark)
        assert other.take(10) is None
    other.close()
    send(accepted, 1, ("/a", 1))
    accepted.take(10)
    assert accepted.settle(mark)
    assert views(moved(accepted)) == {"/a": 1}


def test_a_second_agent_is_refused(tmp_path, accepted):
    with pytest.raises(JournalError, match="another process has the intake"):
        opened(tmp_path)


# --- damage -----------------------------------------------------------------------------------------------------


def test_a_file_cut_anywhere_gives_what_was_whole(tmp_path):
    accepted = opened(tmp_path)
    sizes = [accepted.waiting_bytes]
    for sequence in range(1, 4):
        send(accepted, sequence, ("/a", 1))
        sizes.append(accepted.waiting_bytes)
    accepted.close()
    file = tmp_path / "journal" / "intake" / "log-1"
    data = file.read_bytes()
    for cut in range(len(data), sizes[0] - 1, -7):
        for path in file.parent.glob("log-*"):
            path.unlink()
        file.write_bytes(data[:cut])
        again = opened(tmp_path)
        whole = sum(size <= cut for size in sizes[1:])
        assert views(moved(again)) == ({"/a": whole} if whole else {})
        assert send(again, whole + 1, ("/b", 1)) == (1, False, whole + 1)
        again.close()


def test_a_damaged_log_is_set_aside_and_said(tmp_path, caplog):
    accepted = opened(tmp_path)
    for sequence in range(1, 4):
        send(accepted, sequence, ("/a", 1))
    accepted.close()
    file = tmp_path / "journal" / "intake" / "log-1"
    data = bytearray(file.read_bytes())
    data[data.index(b"/a")] ^= 1
    file.write_bytes(data)
    with caplog.at_level(logging.ERROR):
        again = opened(tmp_path)
    assert "set aside" in caplog.text
    assert (tmp_path / "journal" / "intake.corrupt-1" / "log-1").exists()
    assert send(again, 1, ("/a", 1)) == (1, False, 1)
    again.close()


def test_a_copied_log_is_not_counted(tmp_path):
    accepted = opened(tmp_path)
    send(accepted, 1, ("/a", 1))
    accepted.close()
    folder = tmp_path / "journal" / "intake"
    folder.rename(tmp_path / "before")
    folder.mkdir(mode=0o700)
    for name in ("lease", "log-1"):
        (folder / name).write_bytes((tmp_path / "before" / name).read_bytes())
    again = opened(tmp_path)
    assert again.take(10) is None
    again.close()


def test_a_full_disk_refuses_and_nothing_is_half_counted(accepted, monkeypatch):
    send(accepted, 1, ("/a", 1))

    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(Refusal, match="cannot be written") as raised:
            send(accepted, 2, ("/a", 1))
        assert raised.value.status == 503
        assert accepted.take(10) is None  # no new file can be begun
    assert send(accepted, 2, ("/a", 1)) == (1, False, 2)
    portion = accepted.take(1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        assert accepted.settle(portion.mark)  # a file that goes needs no room
    assert accepted.take(10) is None


def test_what_is_not_synced_is_not_moved(tmp_path, monkeypatch, caplog):
    accepted = opened(tmp_path, syncs=True)
    send(accepted, 1, ("/a", 1))

    def failing(fd: int) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(os, "fdatasync", failing)
    assert accepted.take(10) is None
    assert "cannot be synced" in caplog.text
    monkeypatch.undo()
    assert accepted.take(10) is None  # a sync that failed is final: the kernel forgets what it could not write
    accepted.close()
    again = opened(tmp_path, syncs=True)
    assert views(moved(again)) == {"/a": 1}
    again.close()


# --- bounds -----------------------------------------------------------------------------------------------------


def test_beyond_the_rows_known_keys_go_on_and_new_ones_wait(tmp_path):
    accepted = opened(tmp_path, rows=2)
    send(accepted, 1, ("/a", 1), ("/b", 1))
    with pytest.raises(Refusal, match="2 rows wait") as raised:
        send(accepted, 2, ("/a", 1), ("/c", 1))
    assert (raised.value.status, raised.value.retry_after_s) == (503, 1)
    assert send(accepted, 2, ("/a", 1)) == (1, False, 2)
    assert views(moved(accepted)) == {"/a": 2, "/b": 1}
    assert send(accepted, 3, ("/c", 1)) == (1, False, 3)
    accepted.close()


def test_beyond_the_bytes_everything_waits(tmp_path):
    accepted = opened(tmp_path, waiting_bytes=1000)
    send(accepted, 1, ("/" + "a" * 1000, 1))
    with pytest.raises(Refusal, match="1,000 bytes wait"):
        send(accepted, 2, ("/a", 1))
    moved(accepted)
    assert send(accepted, 2, ("/a", 1)) == (1, False, 2)
    accepted.close()


def test_the_producer_that_was_silent_longest_makes_room_after_a_day():
    producers = Producers(most=2)
    producers.note("a", 1, 0.0)
    producers.note("b", 1, 10.0)
    producers.note("a", 2, 20.0)
    with pytest.raises(Refusal, match="2 producers") as raised:
        producers.make_room("c", SILENCE_S)
    assert raised.value.status == 429
    producers.make_room("a", SILENCE_S)
    producers.make_room("c", SILENCE_S + 10)
    assert (producers.last("a"), producers.last("b")) == (2, 0)


def test_many_producers_are_remembered_through_files(tmp_path):
    accepted = opened(tmp_path)
    for number in range(6_000):
        send(accepted, 3, ("/a", 1), producer=f"p{number}")
    assert views(moved(accepted)) == {"/a": 6_000}
    accepted.close()
    again = opened(tmp_path)
    assert all(send(again, 3, ("/a", 1), producer=f"p{number}").duplicate for number in range(6_000))
    again.close()


# --- any order of things ----------------------------------------------------------------------------------------

STEPS = st.lists(st.sampled_from(["send", "send again", "move", "move and die", "die"]), min_size=5, max_size=40)


class History:
    """An agent and a client of this intake, and what each knows. The agent records marks as its own log would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.accepted = opened(folder)
        self.sequence = 0
        self.recorded: bytes | None = None
        self.sent: Counter[str] = Counter()
        self.got: Counter[str] = Counter()

    def send(self, urls: list[str]) -> None:
        self.sequence += 1
        increments = [(url, n) for url, n in zip(urls, (1, 10, -3), strict=True)]
        assert not send(self.accepted, self.sequence, *increments).duplicate
        for url, delta in increments:
            self.sent[url] += delta

    def send_again(self) -> None:
        if self.sequence:
            assert send(self.accepted, self.sequence, ("/0", 1000)).duplicate

    def move(self, most: int, *, settles: bool = True) -> bool:
        portion = self.accepted.take(most)
        if portion is None:
            return False
        for _, key, deltas in portion.rows:
            self.got[key[0]] += deltas["views"]
        self.recorded = portion.mark
        if settles:
            assert self.accepted.settle(portion.mark)
        return True

    def die(self) -> None:
        self.accepted.close()
        self.accepted = opened(self.folder)
        if self.recorded is not None:
            assert self.accepted.settle(self.recorded)

    def step(self, name: str, data: st.DataObject) -> None:
        if name == "send":
            self.send([f"/{data.draw(st.integers(0, 5))}" for _ in range(3)])
        elif name == "send again":
            self.send_again()
        elif name == "move":
            self.move(data.draw(st.sampled_from([1, 3, 1000])))
        elif name == "move and die":
            self.move(data.draw(st.sampled_from([1, 3, 1000])), settles=False)
            self.die()
        else:
            self.die()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, data=st.data())
def test_in_any_order_each_unit_is_moved_once(tmp_path_factory, steps, data):
    history = History(tmp_path_factory.mktemp("any"))
    for name in steps:
        history.step(name, data)
    while history.move(1000) or history.move(1000):  # None ends a round; the next has what came meanwhile
        pass
    history.accepted.close()
    assert {url: n for url, n in history.got.items() if n} == {url: n for url, n in history.sent.items() if n}
