"""A journal over restarts: what comes back, and as what; and what a journal that fails does to counting."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aggregator.exceptions import JournalError
from aggregator.journal import ledger as ledger_module
from aggregator.journal import log as log_module
from aggregator.journal.directory import open_directory
from aggregator.journal.files import Files
from coodie import drivers
from coodie.drivers.sqlite import SQLiteDriver
from coodie.statement import Statement
from coodie.testing import Fault
from tests.support.models import PageHits
from tests.unit.aggregator.conftest import Store, identity
from tests.unit.aggregator.exact import (
    DailyHits,
    ExactHits,
    by_writer,
    die,
    narrow,
    put,
    quiet,
    run_program,
    sums,
    writer_of,
)

MODELS = [PageHits, ExactHits]
both_kinds = pytest.mark.parametrize("model", MODELS, ids=["native", "exact"])


@pytest.fixture
def database(exact_store: Store, tmp_path: Path) -> Path:
    """Give a database that several processes share, connected here."""
    place = tmp_path / "hits.db"
    drivers._registry.clear()
    drivers.register_driver("default", SQLiteDriver(place), default=True)
    for model in (ExactHits, DailyHits, PageHits):
        model.sync_table()
    return place


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    for connection in drivers._registry.values():
        getattr(connection, "driver", connection).close()


# --- what comes back ----------------------------------------------------------------------------------------------


@both_kinds
@pytest.mark.parametrize("keys", [(100, 10), (10, 10_000), (100, 100)])
def test_a_restart_with_another_bound(exact_store: Store, journal: Path, model: Any, keys: tuple[int, int]) -> None:
    exact_store.faults = lambda _statement: Fault.NOT_SENT  # so many rows are a reason to flush
    more = 5_000 if keys[1] > 4_096 else 200  # beyond the arrays that the first one made, where there is room
    left = quiet(journal, max_keys=keys[0], max_batch_size=keys[0]).start()
    for number in range(10):
        model(url=f"/{number}").increment(views=number + 1)
    die(left)
    with quiet(journal, max_keys=keys[1]) as again:
        assert len(again.pending()) == 10
        assert (again.stats().accepted, identity(again.stats())) == (55, True)
        exact_store.faults = lambda _statement: Fault.NONE
        for number in range(more):
            model(url=f"/{number}").increment(views=1)
        assert again.flush().remaining == 0
        assert (again.stats().applied, identity(again.stats())) == (55 + more, True)
    assert sum(totals["views"] for totals in sums(model).values()) == 55 + more
    assert sums(model)["/9"] == {"views": 11}


@pytest.mark.parametrize("kind", ["native", "exact"])
def test_a_column_that_is_new_after_a_restart(exact_store: Store, journal: Path, kind: str) -> None:
    table = "page_hits" if kind == "native" else "exact_hits"
    grown: Any = PageHits if kind == "native" else ExactHits
    new = "unique_visitors" if kind == "native" else "likes"
    left = quiet(journal).start()
    narrow("views", table, kind)(url="/").increment(views=3)
    die(left)
    second = quiet(journal).start()
    grown(url="/").increment(**{new: 2})
    grown(url="/").increment(views=1, **{new: 2})
    assert second.pending() == {(table, ("/",)): {"views": 4, new: 4}}
    die(second)
    with quiet(journal) as third:
        assert (third.flush().applied, identity(third.stats())) == (8, True)
    assert sums(grown) == {"/": {"views": 4, new: 4}}


def test_a_table_that_no_model_claims_is_written_by_its_record_alone(
    exact_store: Store, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = quiet(journal).start()
    DailyHits(site="a", day=-1).increment(views=3)
    DailyHits(site="a", day=2).decrement(views=1)
    PageHits(url="/").increment(views=5, unique_visitors=1)
    die(left)
    with caplog.at_level(logging.INFO, "aggregator"), quiet(journal) as again:
        assert "brought back 8 unit(s)" in caplog.text
        assert again.flush().applied == 8
        assert sorted(again.stats().tables) == ["daily_hits", "page_hits"]
    assert sums(DailyHits) == {("a", -1): {"views": 3}, ("a", 2): {"views": -1}}
    assert sums(PageHits) == {"/": {"views": 5, "unique_visitors": 1}}


@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize(
    ("model", "fault", "where"),
    [
        (PageHits, Fault.TIMED_OUT, "unknown"),
        (PageHits, Fault.ROW_REFUSED, "rejected"),
        (ExactHits, Fault.ROW_REFUSED, "rejected"),
    ],
)
def test_what_was_set_apart_comes_back_and_is_resolved_once(
    exact_store: Store, journal: Path, model: Any, fault: Fault, where: str, apply: bool
) -> None:
    left = quiet(journal).start()
    model(url="/").increment(views=1)
    left.flush()
    exact_store.faults = lambda _statement: fault
    for delta in (5, -2):
        model(url="/").increment(views=delta)
        left.flush()
    exact_store.faults = lambda _statement: Fault.NONE
    (before,) = getattr(left, where)()
    die(left)
    second = quiet(journal).start()
    (item,) = getattr(second, where)()
    assert [getattr(item, name) for name in ("table", "key", "deltas", "at", "times", "reason")] == [
        getattr(before, name) for name in ("table", "key", "deltas", "at", "times", "reason")
    ]
    assert (item.deltas, item.times) == ({"views": 3}, 2)
    assert (getattr(second.stats(), "dropped" if where == "rejected" else where), identity(second.stats())) == (3, True)
    second.resolve(item, apply)
    assert identity(second.stats())
    die(second)
    with quiet(journal) as third:
        assert (third.unknown(), third.rejected()) == ([], [])
        assert (third.flush().applied, identity(third.stats())) == (3 * apply, True)
    assert sums(model) == {"/": {"views": 1 + 3 * apply}}


@both_kinds
def test_rows_beyond_the_bound_and_of_requests_survive(exact_store: Store, journal: Path, model: Any) -> None:
    exact_store.faults = lambda _statement: Fault.NOT_SENT
    left = quiet(journal, max_keys=4, when_full="raise").start()
    for number in range(4):
        model(url=f"/{number}").increment(views=1)
    with left.request():
        for number in range(10):
            model(url=f"/{number}").increment(views=10)
    before, stats = left.pending(), left.stats()
    assert (len(before), stats.accepted, stats.pending + stats.in_flight) == (10, 104, 104)
    die(left)
    again = quiet(journal, max_keys=4).start()
    assert (again.pending(), identity(again.stats())) == (before, True)
    die(again)
    exact_store.faults = lambda _statement: Fault.NONE
    with quiet(journal, max_keys=4) as third:
        assert third.flush().remaining == 0
        assert identity(third.stats())
    assert sums(model) == {f"/{n}": {"views": 10 + (n < 4)} for n in range(10)}


def test_a_request_is_journaled_when_it_ends_and_not_before(exact_store: Store, journal: Path) -> None:
    for ends in (False, True):
        left = quiet(journal).start()
        request = left.request()
        request.__enter__()
        ExactHits(url="/").increment(views=2)
        PageHits(url="/").increment(views=2)
        if ends:
            request.__exit__(None, None, None)
        die(left)
        if not ends:
            request.discard()
            request.__exit__(None, None, None)
    with quiet(journal) as again:
        assert again.stats().pending == 4


def test_aggregators_one_after_the_other_share_a_journal(exact_store: Store, journal: Path) -> None:
    writers = set()
    for number in range(5):
        with quiet(journal) as aggregator:
            ExactHits(url="/").increment(views=1)
            PageHits(url="/").increment(views=1)
            writers.add(writer_of(aggregator))
            assert aggregator.stats().accepted == 2
        if number % 2:
            ExactHits(url="/").increment(views=100)  # after its shutdown, under the same name
    assert (sums(), sums(PageHits), len(writers)) == ({"/": {"views": 205}}, {"/": {"views": 5}}, 1)
    assert [place.name for place in journal.glob("slot-*")] == ["slot-0000"]


def test_the_size_of_the_log_is_told(exact_store: Store, journal: Path) -> None:
    with quiet() as without:
        assert without.stats().journal_bytes == 0
    with quiet(journal) as aggregator:
        sizes = [aggregator.stats().journal_bytes]
        for number in range(3):
            ExactHits(url=f"/{number}").increment(views=1)
            sizes.append(aggregator.stats().journal_bytes)
            ExactHits(url=f"/{number}").increment(views=1)  # a row that is known costs no record
            assert aggregator.stats().journal_bytes == sizes[-1]
        assert sizes == sorted(set(sizes))
        assert sizes[-1] == (journal / "slot-0000" / "log").stat().st_size


def test_a_log_that_was_written_anew_many_times_holds_everything(
    exact_store: Store, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrites: list[int] = []
    rewrite = Files.rewrite
    monkeypatch.setattr(ledger_module, "LOG_BYTES", 4096)
    monkeypatch.setattr(Files, "rewrite", lambda files, payloads: rewrites.append(1) or rewrite(files, payloads))
    left = quiet(journal, max_keys=32).start()
    fates = {"/unknown": Fault.TIMED_OUT, "/refused": Fault.ROW_REFUSED}
    exact_store.faults = lambda statement: next(
        (fates[value] for value in statement.values if value in fates), Fault.NONE
    )
    PageHits(url="/unknown").increment(views=7)
    ExactHits(url="/refused").increment(likes=9)
    for number in range(600):
        PageHits(url=f"/{number % 200}").increment(views=1)
        ExactHits(url=f"/{number % 120}").increment(views=1)
        if number % 8 == 0:
            left.flush()
        assert left.stats().journal_bytes < 20_000
    ExactHits(url="/last").increment(views=1)
    stats = left.stats()
    assert (identity(stats), stats.accepted) == (True, 7 + 9 + 1200 + 1)
    assert len(rewrites) > 5
    before = left.pending()
    die(left)
    with quiet(journal, max_keys=32) as again:
        assert again.pending() == before
        assert [item.deltas for item in again.unknown()] == [{"views": 7}]
        assert [item.deltas for item in again.rejected()] == [{"likes": 9}]
        again.flush()
        assert identity(again.stats())
    assert sums(PageHits) == {f"/{n}": {"views": 3} for n in range(200)}
    assert sums() == {f"/{n}": {"views": 5} for n in range(120)} | {"/last": {"views": 1}}


# --- real deaths --------------------------------------------------------------------------------------------------


def test_what_a_forked_child_had_pending_survives_its_death(database: Path, journal: Path) -> None:
    """The child has a slot of its own; its parent ends without a word, too."""
    run_program(
        "connect(SQLiteDriver(DATABASE))\n"
        "aggregator = quiet(JOURNAL).start()\n"
        "ExactHits(url='/').increment(views=1); PageHits(url='/').increment(views=1)\n"
        "child = os.fork()\n"
        "ExactHits(url='/').increment(views=10, likes=1); PageHits(url='/').increment(views=10)\n"
        "ExactHits(url=f'/{bool(child)}').increment(views=5)\n"
        "if child: assert os.waitpid(child, 0)[1] == 0\n"
        "os._exit(0)\n",
        journal,
        database,
    )
    assert sums() == {}
    assert len(open_directory(journal).slots()) == 2
    with quiet(journal) as aggregator:
        assert aggregator.flush().remaining == 0
        aggregator.flush()  # between the two the flusher looked for orphans
        assert sums() == {"/": {"views": 21, "likes": 2}, "/True": {"views": 5}, "/False": {"views": 5}}
        assert sums(PageHits) == {"/": {"views": 21}}
        assert len(by_writer()) == 2
    with quiet(journal) as again:
        assert again.pending() == {}


@both_kinds
def test_what_was_being_sent_at_the_death_is_unknown_or_on_an_exact_table_written_again(
    database: Path, journal: Path, model: Any
) -> None:
    run_program(
        "database, died = SQLiteDriver(DATABASE), []\n"
        "def choose(statement):\n"
        "    if died: database.submit(statement); os._exit(0)\n"
        "    died.append(1); return Fault.NONE\n"
        "connect(FaultyDriver(database, choose))\n"
        "aggregator = quiet(JOURNAL).start()\n"
        f"for number in range(3): {model.__name__}(url=f'/{{number}}').increment(views=1)\n"
        "aggregator.flush()\n",
        journal,
        database,
    )
    assert len(sums(model)) == 2
    with quiet(journal) as aggregator:
        result = aggregator.flush()
        assert (result.remaining, identity(aggregator.stats())) == (0, True)
        if model is ExactHits:
            assert (result.applied, aggregator.unknown(), sums()) == (
                3,
                [],
                {f"/{n}": {"views": 1} for n in range(3)},
            )
        else:
            assert (result.applied, len(aggregator.unknown()), len(sums(model))) == (0, 3, 2)
            assert {item.reason for item in aggregator.unknown()} == {"the process died while this was being written"}


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.REPLY_LOST])
def test_a_living_sibling_writes_what_a_dead_one_left(exact_store: Store, journal: Path, fault: Fault) -> None:
    other = open_directory(journal).free_slot()
    dead = quiet(journal).start()  # in slot 1
    ExactHits(url="/").increment(views=3)
    DailyHits(site="a", day=1).increment(views=1)
    dead.flush()
    ExactHits(url="/").increment(views=4)
    PageHits(url="/").increment(views=2)
    writer = writer_of(dead)
    die(dead)
    other.close()
    faults = iter([fault])
    with quiet(journal) as sibling:
        assert writer_of(sibling) != writer
        ExactHits(url="/").increment(views=100)
        sibling.flush()
        exact_store.faults = lambda statement: (
            next(faults, Fault.NONE) if statement.shape.table.name == "exact_hits" else Fault.NONE
        )
        assert sibling._machine is not None
        for _ in range(3):
            sibling._machine.orphans._next = 0.0  # a look is due
            sibling.flush()
        assert {name: rows[("/",)]["views"][0] for name, rows in by_writer().items()} == {
            writer: 7,
            writer_of(sibling): 100,
        }
        assert sums(PageHits) == {"/": {"views": 2}}
        assert (sibling.stats().accepted, identity(sibling.stats())) == (100, True)  # the dead one's are not its own
        assert sibling._machine.orphans._adopted == {}


# --- a journal that fails -----------------------------------------------------------------------------------------

FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
connect(SQLiteDriver(":memory:"))
aggregator = quiet(JOURNAL, when_full=WHEN_FULL, max_keys=50_000).start()
for number in range(3):
    MODEL(url=f"/{number}").increment(views=1)
log = JOURNAL / "slot-0000" / "log"
_soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, hard))
said = []
for _ in range(3):
    MODEL(url="/1").increment(views=10)
    try:
        MODEL(url="/new").increment(views=100)
    except JournalError as error:
        said.append(str(error))
stats = aggregator.stats()
found = {"accepted": stats.accepted, "dropped": stats.dropped, "said": said, "error": stats.last_error}
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
MODEL(url="/new").increment(views=1000)
found["later"], found["after"] = aggregator.stats().accepted, aggregator.stats().last_error
aggregator.flush()
found["stored"] = {key: totals["views"] for key, totals in sums(MODEL).items()}
print(json.dumps(found)); sys.stdout.flush()
os._exit(0)
"""


@both_kinds
@pytest.mark.parametrize("when_full", ["flush", "raise", "drop", "direct"])
def test_a_full_disk_refuses_new_rows_and_known_ones_go_on(
    tmp_path: Path, journal: Path, model: Any, when_full: str
) -> None:
    text = FULL.replace("MODEL", model.__name__).replace("WHEN_FULL", repr(when_full))
    found = run_program(text, journal, tmp_path / "none")
    through = 300 if when_full == "direct" and model is PageHits else 0
    dropped = 300 if when_full == "drop" else 0
    assert (found["accepted"], found["dropped"]) == (33 + through + dropped, dropped)
    raises = when_full in ("flush", "raise") or (when_full == "direct" and model is ExactHits)
    assert len(found["said"]) == 3 * raises
    for said in found["said"]:
        assert "File too large; raise the limit of the size of files" in said
        assert "this increment was not accepted" in said
    assert "cannot write record" in found["error"]
    assert (found["later"], found["after"]) == (found["accepted"] + 1000, None)
    assert found["stored"] == {"/0": 1, "/1": 31, "/2": 1, "/new": 1000 + through}


class Syncs:
    """What happened to the files and the database, in order."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.order: list[str] = []
        sync = Files.sync

        def synced(files: Files, *arguments: Any, **options: Any) -> None:
            sync(files, *arguments, **options)
            self.order.append("sync")

        def sent(_statement: Statement) -> Fault:
            self.order.append("sent")
            return Fault.NONE

        monkeypatch.setattr(Files, "sync", synced)
        store.faults = sent


@both_kinds
def test_with_durability_disk_a_flush_is_synced_before_it_sends_and_before_it_returns(
    exact_store: Store, journal: Path, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quiet(journal, durability="disk", journal_sync_interval=1000.0) as aggregator:
        model(url="/").increment(views=1)  # the table, and its writer's name, may be synced when they are new
        aggregator.flush()
        syncs = Syncs(exact_store, monkeypatch)
        model(url="/").increment(views=1)
        assert syncs.order == []  # group commit: the increment does not wait
        aggregator.flush()
        assert syncs.order == ["sync", "sent", "sync"]
        aggregator.flush()
        assert syncs.order[3:] == ["sync"]  # nothing to send; what returns is synced all the same


@both_kinds
def test_with_durability_process_nothing_is_synced(
    exact_store: Store, journal: Path, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quiet(journal) as aggregator:
        syncs = Syncs(exact_store, monkeypatch)
        model(url="/").increment(views=1)
        aggregator.flush()
        assert syncs.order == ["sent"]


def test_increments_are_synced_in_groups_without_a_flush(
    exact_store: Store, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = threading.Event()
    sync = Files.sync

    def told(files: Files, *arguments: Any, **options: Any) -> None:
        sync(files, *arguments, **options)
        if threading.current_thread().name == "aggregator-journal":
            synced.set()

    monkeypatch.setattr(Files, "sync", told)
    with quiet(journal, durability="disk", journal_sync_interval=0.001):
        ExactHits(url="/").increment(views=1)
        synced.clear()
        assert synced.wait(10)


def broken(number: int) -> Callable[[int], None]:
    def fail(_fd: int) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@both_kinds
def test_a_sync_that_fails_is_told_nothing_is_sent_and_nothing_is_lost(
    exact_store: Store, journal: Path, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = quiet(journal, durability="disk", journal_sync_interval=1000.0, shutdown_timeout=1.0).start()
    model(url="/").increment(views=5)
    monkeypatch.setattr(log_module.os, "fdatasync", broken(errno.EIO))
    result = left.flush()
    assert (result.applied, result.remaining, exact_store.statements) == (0, 5, [])
    assert "JournalError: cannot sync" in result.errors[0]
    assert "Input/output error; check the disk" in result.errors[0]
    assert "takes nothing any more" in left.flush().errors[0]
    assert "takes nothing any more" in (left.stats().last_error or "")
    with pytest.raises(JournalError, match="takes nothing any more"):
        model(url="/new").increment(views=1)
    model(url="/").increment(views=1)  # a known row goes on
    monkeypatch.undo()
    die(left)
    with quiet(journal, durability="disk") as again:
        assert again.flush().applied == 6
    assert sums(model) == {"/": {"views": 6}}


@both_kinds
def test_a_sync_that_fails_at_the_end_of_a_flush_is_told_in_its_result(
    exact_store: Store, journal: Path, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[BaseException] = []
    with quiet(journal, durability="disk", journal_sync_interval=1000.0, on_error=told.append) as aggregator:

        def sent(_statement: Statement) -> Fault:
            monkeypatch.setattr(log_module.os, "fdatasync", broken(errno.EIO))
            return Fault.NONE

        exact_store.faults = sent
        model(url="/").increment(views=5)
        result = aggregator.flush()
        assert (result.applied, result.remaining) == (5, 0)
        assert [text for text in result.errors if "JournalError: cannot sync" in text]
        assert "JournalError: cannot sync" in (aggregator.stats().last_error or "")
        assert "JournalError" in [type(error).__name__ for error in told]
        monkeypatch.undo()
    assert sums(model) == {"/": {"views": 5}}


def test_an_aggregator_that_cannot_open_its_journal_does_not_start(
    store: Store, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Any:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(log_module, "new_file", refuse)
        with pytest.raises(JournalError, match="Too many open files; raise the limit"):
            quiet(journal).start()
    with quiet(journal) as aggregator:  # nothing was left behind: neither a lease nor a claim
        assert aggregator.stats().state == "ok"
    assert [place.name for place in journal.glob("slot-*")] == ["slot-0000"]


def test_other_writers_rows_are_left_alone_by_a_restart(exact_store: Store, journal: Path) -> None:
    put("somebody/0/else", 1, views=7)
    left = quiet(journal).start()
    ExactHits(url="/").increment(views=1)
    die(left)
    with quiet(journal):
        pass
    assert by_writer()["somebody/0/else"][("/",)]["views"] == (7, 1)
    assert sums() == {"/": {"views": 8}}
