"""
The conditions under which a writer's totals are exact, C1 to C9: each has a test that bears its name.

Rules that live here: clocks, boot ids and machine ids are handed in; everything else is real.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest

import coodie.sync
from aggregator import Aggregator, BufferFull, machine
from aggregator.journal import identity as identity_module
from aggregator.journal.directory import open_directory
from coodie import drivers
from coodie.exceptions import InvalidQueryError, NotApplied
from coodie.fields import Counter, PrimaryKey
from coodie.statement import Rows, Statement
from coodie.testing import Fault, ScriptedDriver
from tests.unit.aggregator.conftest import Store, identity
from tests.unit.aggregator.exact import (
    DailyHits,
    ExactHits,
    by_writer,
    copied,
    die,
    execute,
    put,
    quiet,
    roll_back,
    run_program,
    sums,
    writer_of,
)

HOUR_US = 3_600_000_000
Writes = list[tuple[str, str, tuple[int, int], int]]


class Clock:
    """The wall clock of this machine, wrong by ``ahead_us``."""

    ahead_us = 0

    def now_us(self) -> int:
        return time.time_ns() // 1000 + self.ahead_us


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(machine, "now_us", made.now_us)
    return made


def writes(store: Store) -> Writes:
    """Return (key, writer, totals, timestamp) of every write that was sent, in order."""
    found = [statement.values for statement in store.statements]
    return [(values[0], values[1], values[2:-1], values[-1]) for values in found]


def error_lines(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR)


# --- C1: one live owner per writer --------------------------------------------------------------------------------


def test_c1_a_writer_has_one_live_owner(exact_store: Store, journal: Path) -> None:
    with quiet(journal) as aggregator:
        host, slot, _incarnation = writer_of(aggregator).split("/")
        assert (str(uuid.UUID(host)), slot) == ((journal / "host").read_text(), "0")
        assert open_directory(journal).lease(0) is None
        other = run_program(
            "connect(SQLiteDriver(':memory:'))\n"
            "with quiet(JOURNAL) as aggregator: print(json.dumps(writer_of(aggregator)))",
            journal,
            journal,
        )
        assert other.split("/")[:2] == [host, "1"]


def test_c1_a_restart_goes_on_as_the_same_writer_and_without_a_journal_nobody_does(
    exact_store: Store, journal: Path
) -> None:
    def started(place: Path | None, end: Callable[[Aggregator], Any]) -> str:
        aggregator = quiet(place).start()
        writer = writer_of(aggregator)
        end(aggregator)
        return writer

    assert len({started(journal, end) for end in (die, Aggregator.shutdown, die)}) == 1
    without = {started(None, Aggregator.shutdown) for _ in range(3)}
    assert len(without) == 3
    assert len({writer.split("/")[0] for writer in without}) == 3  # not the host's name, nor anything else of it


# --- C2, C3, C4: timestamps ---------------------------------------------------------------------------------------


def test_c2_a_timestamp_is_never_used_with_two_totals(exact_store: Store, journal: Path, clock: Clock) -> None:
    count = 0
    fates = [Fault.NONE, Fault.REPLY_LOST, Fault.TIMED_OUT, Fault.NOT_SENT]
    stop = threading.Event()

    def fate(_statement: Statement) -> Fault:
        nonlocal count
        count += 1
        clock.ahead_us -= 1000  # the clock stands still, or steps back
        ExactHits(url="/1").increment(views=1)  # while the row is in flight
        return fates[count * 7 % 5 % 4]

    def busy() -> None:
        while not stop.is_set():
            ExactHits(url="/0").increment(likes=1)

    exact_store.faults = fate
    for _ in range(3):
        aggregator = quiet(journal).start()
        thread = threading.Thread(target=busy)
        thread.start()
        for number in range(20):
            ExactHits(url=f"/{number % 3}").increment(views=number)
            aggregator.flush()
        stop.set()
        thread.join()
        stop.clear()
        die(aggregator)
    sent: dict[tuple[str, str, int], set[tuple[int, int]]] = {}
    for key, writer, totals, timestamp in writes(exact_store):
        sent.setdefault((key, writer, timestamp), set()).add(totals)
    assert len(sent) > 60
    assert all(len(totals) == 1 for totals in sent.values())


def test_c3_timestamps_rise_over_restarts_and_clock_steps(exact_store: Store, journal: Path, clock: Clock) -> None:
    for ahead in (0, -HOUR_US, HOUR_US, -HOUR_US, 0):
        clock.ahead_us = ahead
        aggregator = quiet(journal).start()
        for _ in range(2):
            ExactHits(url="/").increment(views=1)
            aggregator.flush()
        die(aggregator)
    timestamps = [timestamp for _key, _writer, _totals, timestamp in writes(exact_store)]
    assert timestamps == sorted(set(timestamps))
    assert len(timestamps) == 10
    assert sums() == {"/": {"views": 10}}  # a total with an older timestamp would not have been taken


def test_c4_timestamps_are_the_wall_clock_in_microseconds(exact_store: Store) -> None:
    with quiet() as aggregator:
        ExactHits(url="/").increment(views=5)
        before = time.time_ns() // 1000
        aggregator.flush()
        ((own,),) = (rows.values() for rows in by_writer().values())
        assert before <= own["views"][1] <= time.time_ns() // 1000
        execute(exact_store.real, "DELETE FROM exact_hits")  # an operator, now
        deleted = time.time_ns() // 1000
        ExactHits(url="/").increment(views=1)
        aggregator.flush()
        assert writes(exact_store)[-1][3] > deleted  # or the deletion would shadow it
        assert sums() == {"/": {"views": 6}}  # the total: a deletion by other hands does not forget


# --- C5: no timestamps of the future ------------------------------------------------------------------------------


class Server(ScriptedDriver):
    """A database with a clock of its own."""

    ahead_s = 0.0
    asked = 0

    def submit(self, statement: Statement) -> Rows:
        if "toTimestamp(now())" in statement.cql:
            self.asked += 1
            return Rows([{"now": datetime.fromtimestamp(time.time() + self.ahead_s, UTC)}])
        return super().submit(statement)

    def inserts(self) -> int:
        return sum(text.startswith("INSERT") for text, _values in self.sent)


@pytest.fixture
def server(exact_store: Store) -> Server:
    made = Server()
    drivers._registry.clear()
    drivers.register_driver("default", made, default=True)
    return made


@pytest.mark.parametrize("years", [1 / 365, 10])
def test_c5_a_clock_that_is_ahead_sends_nothing_and_loses_nothing(
    server: Server, journal: Path, clock: Clock, years: float
) -> None:
    clock.ahead_us = int(years * 365 * 24 * HOUR_US)
    with quiet(journal) as aggregator:
        ExactHits(url="/").increment(views=5)
        result = aggregator.flush()
        assert (result.applied, result.remaining, server.inserts()) == (0, 5, 0)
        assert "s ahead of the database's; exact tables allow 300 s; set the clock" in result.errors[0]
        assert (aggregator.stats().state, aggregator.stats().last_error) == ("suspended", result.errors[0])
        clock.ahead_us = 0
        assert aggregator.flush().applied == 5
        assert server.sent[-1][1][-1] <= clock.now_us()  # no timestamp of the future was given out


def test_c5_a_clock_that_jumps_later_is_noticed(server: Server, clock: Clock) -> None:
    with quiet() as aggregator:
        for ahead_s, applied, asked in ((0, 1, 1), (100, 1, 1), (290, 1, 2), (-7200, 1, 2), (500, 0, 3), (0, 2, 3)):
            clock.ahead_us = ahead_s * 1_000_000
            ExactHits(url="/").increment(views=1)
            assert (aggregator.flush().applied, server.asked) == (applied, asked), ahead_s


def test_c5_a_journal_whose_timestamps_are_ahead_is_noticed(server: Server, journal: Path, clock: Clock) -> None:
    clock.ahead_us = 10 * HOUR_US
    server.ahead_s = 36_000.0
    before = quiet(journal).start()
    ExactHits(url="/").increment(views=1)
    assert before.flush().applied == 1
    die(before)
    clock.ahead_us, server.ahead_s = 0, 0.0  # both clocks are set right: totals must not go back in time
    with quiet(journal, shutdown_timeout=0.1) as aggregator:
        ExactHits(url="/").increment(views=1)
        assert "or the last timestamp in its journal, is 36000 s ahead" in aggregator.flush().errors[0]
        assert server.inserts() == 1
        server.ahead_s = 36_000.0
        assert aggregator.flush().applied == 1


# --- C6: copies, other machines, other boots, rolled-back volumes -------------------------------------------------


def pretend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """Have the machine, or its boot, be another one from now on."""
    place = tmp_path / f"{name}-{uuid.uuid4().hex}"
    place.write_text(place.name[-36:])
    monkeypatch.setattr(identity_module, name, place)


def leave(journal: Path, **options: Any) -> str:
    """Leave a journal with 10 stored and 3 that are not written, and return its writer."""
    left = quiet(journal, **options).start()
    ExactHits(url="/").increment(views=10)
    assert left.flush().applied == 10
    ExactHits(url="/").increment(views=3)
    writer = writer_of(left)
    die(left)
    return writer


@pytest.mark.parametrize("how", ["copied", "another machine"])
def test_c6_a_copy_is_not_replayed_and_gets_a_new_writer(
    exact_store: Store,
    journal: Path,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = leave(journal)
    place = copied(journal, "copy") if how == "copied" else journal
    with monkeypatch.context() as patch:
        if how == "another machine":
            pretend(patch, tmp_path, "_MACHINE")
        with quiet(place) as aggregator:
            ExactHits(url="/").increment(views=100)
            assert aggregator.stats().accepted == 100
            other = writer_of(aggregator)
    assert other != writer
    assert "a copy is not replayed" in error_lines(caplog)
    assert sums() == {"/": {"views": 110}}
    if how == "copied":
        with quiet(journal) as original:
            assert writer_of(original) == writer
        assert sums() == {"/": {"views": 113}}
    assert {key: own["views"][0] for key, own in by_writer()[other].items()} == {("/",): 100}


def test_c6_after_a_reboot_a_synced_journal_goes_on(
    exact_store: Store, journal: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    writer = leave(journal, durability="disk")
    pretend(monkeypatch, tmp_path, "_BOOT")
    with quiet(journal, durability="disk") as aggregator:
        assert aggregator.flush().applied == 3
        assert exact_store.own_reads() == []
        assert writer_of(aggregator) == writer
    assert sums() == {"/": {"views": 13}}


def test_c6_after_a_reboot_an_unsynced_journal_is_compared_with_what_is_stored(
    exact_store: Store, journal: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    writer = leave(journal)
    pretend(monkeypatch, tmp_path, "_BOOT")
    with quiet(journal) as aggregator:
        ExactHits(url="/new").increment(views=1)
        assert aggregator.flush().applied == 4
        assert sorted(exact_store.own_reads()) == ["/", "/new"]
        assert writer_of(aggregator) == writer
        ExactHits(url="/").increment(views=1)
        aggregator.flush()
        assert len(exact_store.own_reads()) == 2
    assert sums() == {"/": {"views": 14}, "/new": {"views": 1}}


def test_c6_a_volume_rolled_back_over_a_reboot_keeps_what_is_stored(
    exact_store: Store,
    journal: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer = leave(journal)
    older = copied(journal, "older")
    with quiet(journal) as later:
        ExactHits(url="/").increment(views=5)
        assert later.flush().applied == 8
    roll_back(journal, older)
    pretend(monkeypatch, tmp_path, "_BOOT")
    with quiet(journal) as aggregator:
        ExactHits(url="/").increment(views=100)
        aggregator.flush()
        aggregator.flush()
        other = writer_of(aggregator)
        stats = aggregator.stats()
        assert identity(stats)
        assert (stats.dropped, stats.pending) == (3, 0)  # whether those were stored nobody knows: never guess
    assert other != writer
    assert "later writes of this writer than its journal knows" in error_lines(caplog)
    assert {name: rows[("/",)]["views"][0] for name, rows in by_writer().items()} == {writer: 18, other: 100}


def test_c6_a_volume_rolled_back_unseen_is_noticed_at_the_first_own_row_that_is_read(
    exact_store: Store, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = leave(journal, max_keys=8)
    with quiet(journal, max_keys=8) as evicting:
        for number in range(20):
            ExactHits(url=f"/{number}").increment(views=1)
            evicting.flush()
        assert ("exact_hits", ("/",)) not in evicting.pending()
    older = copied(journal, "older")
    with quiet(journal, max_keys=8) as later:
        ExactHits(url="/").increment(views=5)
        assert later.flush().applied == 5
    roll_back(journal, older)
    with quiet(journal, max_keys=8) as aggregator:
        ExactHits(url="/").increment(views=100)
        aggregator.flush()
        aggregator.flush()
        other = writer_of(aggregator)
        assert (aggregator.stats().dropped, identity(aggregator.stats())) == (0, True)
    assert other != writer
    assert "a new writer begins" in error_lines(caplog)
    assert {name: rows[("/",)]["views"][0] for name, rows in by_writer().items()} == {writer: 18, other: 100}


# --- C7: letting go -----------------------------------------------------------------------------------------------


def test_c7_a_row_is_let_go_only_when_it_is_stored(exact_store: Store) -> None:
    with quiet(max_keys=8, when_full="raise") as aggregator:
        for fault in (Fault.NOT_SENT, Fault.TIMED_OUT, Fault.REPLY_LOST):
            exact_store.faults = lambda _statement, fault=fault: fault
            for number in range(8):
                ExactHits(url=f"/{fault.name}/{number}").increment(views=1)
            aggregator.flush()
            with pytest.raises(BufferFull):
                ExactHits(url="/new").increment(views=1)
            exact_store.faults = lambda _statement: Fault.NONE
            assert aggregator.flush().remaining == 0
            assert len(aggregator.pending()) == 0
    assert sum(totals["views"] for totals in sums().values()) == 24


@pytest.mark.parametrize("keeps", [True, False])
def test_c7_a_row_that_comes_back_is_read_once_before_it_is_written(
    exact_store: Store, journal: Path, keeps: bool
) -> None:
    with quiet(journal if keeps else None, max_keys=8) as aggregator:
        for number in range(40):
            ExactHits(url=f"/{number}").increment(views=number + 1, likes=1)
            aggregator.flush()
        first_reads = len(exact_store.own_reads())
        assert first_reads <= 32  # the first eight, at least, were never let go before they came
        ExactHits(url="/0").increment(views=1)
        aggregator.flush()
        ExactHits(url="/0").increment(views=1)
        aggregator.flush()
        assert exact_store.own_reads()[first_reads:] == ["/0"]
        assert writes(exact_store)[-1][2] == (3, 1)
        assert identity(aggregator.stats())
    assert sums() == {f"/{n}": {"views": n + 1 + 2 * (n == 0), "likes": 1} for n in range(40)}


def test_c7_an_own_row_that_cannot_be_read_is_not_written(exact_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with quiet(max_keys=8) as aggregator:
        for number in range(9):
            ExactHits(url=f"/{number}").increment(views=10)
            aggregator.flush()
        submit = exact_store.driver.submit

        def refuse(statement: Statement) -> Rows:
            if "writetime" in statement.cql.lower():
                raise NotApplied("no quorum for reads")
            return submit(statement)

        monkeypatch.setattr(exact_store.driver, "submit", refuse)
        before = len(exact_store.statements)
        ExactHits(url="/0").increment(views=1)
        result = aggregator.flush()
        assert (result.applied, result.remaining, len(exact_store.statements)) == (0, 1, before)
        monkeypatch.undo()
        assert aggregator.flush().applied == 1
    assert sums()["/0"] == {"views": 11}


# --- C8, C9 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda page: page.save(ttl=5), "do not support save"),
        (lambda page: page.insert(), "do not support insert"),
        (lambda page: page.insert(ttl=5), "do not support insert"),
        (lambda page: page.update(ttl=5), "do not support update"),
        (lambda page: page.update(if_exists=True), "do not support update"),
        (lambda page: page.update(views=1, if_conditions={"views": 0}), "do not support update"),
        (lambda page: page.delete(), "cannot be deleted"),
        (lambda page: page.delete(if_exists=True), "cannot be deleted"),
        (lambda page: page.delete(if_conditions={"views": 0}), "cannot be deleted"),
        (lambda page: type(page).create(url="/"), "do not support save"),
        (lambda page: page.increment(views=1, ttl=5), "'ttl' of table exact_hits does not exist"),
    ],
)
def test_c8_no_ttl_no_condition_and_no_other_write(exact_store: Store, call: Callable[[Any], Any], said: str) -> None:
    with quiet():
        ExactHits(url="/").increment(views=1)
        with pytest.raises(InvalidQueryError, match=said):
            call(ExactHits(url="/"))
    assert sums() == {"/": {"views": 1}}


@pytest.mark.parametrize("options", [{"__default_ttl__": 60}, {"__options__": {"default_time_to_live": 60}}])
def test_c8_no_ttl_by_the_settings(exact_store: Store, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidQueryError, match="cannot have a TTL"):

        class Fading(coodie.sync.CounterDocument):
            url: Annotated[str, PrimaryKey()]
            views: Annotated[int, Counter()]
            Settings: ClassVar[Any] = type("Settings", (), {"counters": "exact", **options})

        Fading.sync_table()
    assert any("default_time_to_live = 0" in statement for statement in ExactHits.sync_table(dry_run=True))


@pytest.mark.parametrize("model", [ExactHits, DailyHits])
def test_c9_a_reset_is_a_compensating_total_of_this_writer(exact_store: Store, model: Any, journal: Path) -> None:
    key = {"url": "/"} if model is ExactHits else {"site": "a", "day": 1}
    values = tuple(key.values())
    put("somebody/0/else", 1_000_000, model, values, views=7)
    with quiet(journal) as aggregator:
        page = model(**key)
        page.increment(views=3)
        page.reset()
        page.increment(views=1)
        aggregator.flush()
        mine = by_writer(model)[writer_of(aggregator, model)][values]["views"]
        theirs = by_writer(model)["somebody/0/else"][values]["views"]
        assert (mine[0], theirs) == (-6, (7, 1_000_000))
        assert identity(aggregator.stats())
    assert model.get(**key).views == 1
    with quiet(journal):
        page.reset()
    assert model.get(**key).views == 0
