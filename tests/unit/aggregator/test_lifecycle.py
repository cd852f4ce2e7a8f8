"""Start, stop, misuse, request scopes, interpreter exit, fork."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import aggregator as package
from aggregator import Aggregator, ConfigurationError, LifecycleError
from coodie.exceptions import InvalidQueryError
from coodie.testing import Fault
from tests.support.models import AsyncPageHits, PageHits
from tests.unit.aggregator.conftest import Store, identity


def quiet(**options: Any) -> Aggregator:
    return Aggregator(**({"flush_interval": None} | options))


def test_start_and_shutdown_are_idempotent_and_current_knows(store: Store) -> None:
    assert package.current() is None
    aggregator = quiet().start()
    assert aggregator.start() is aggregator is package.current()
    aggregator.shutdown()
    assert aggregator.shutdown() is None
    assert package.current() is None


def test_start_by_several_threads_at_once_returns_to_each_once_it_runs(store: Store, tmp_path: Path) -> None:
    """As by the first requests of a worker with threads."""
    aggregator, gate = quiet(journal=tmp_path / "journal"), threading.Barrier(8)
    states: list[object] = []

    def request() -> None:
        gate.wait()
        try:
            states.append(aggregator.start().stats().state)
        except LifecycleError as error:
            states.append(error)

    threads = [threading.Thread(target=request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    aggregator.shutdown()
    assert states == ["ok"] * 8


def test_a_second_aggregator_is_refused_and_names_the_first(store: Store) -> None:
    with quiet() as first, pytest.raises(ConfigurationError, match="is already started") as refusal:
        quiet().start()
    assert f"{id(first):#x}" in str(refusal.value)


def test_after_shutdown_increments_go_direct_also_through_a_method_held_on_to(store: Store) -> None:
    page = PageHits(url="/")
    with quiet():
        page.increment(views=1)
        held_on_to = page.increment
        held_on_to(views=1)
    held_on_to(views=1)
    page.increment(views=1)
    assert store.stored() == {"/": {"views": 4}}


def test_an_aggregator_can_be_started_again(store: Store) -> None:
    aggregator = quiet()
    for _ in range(2):
        with aggregator:
            PageHits(url="/").increment(views=1)
    assert store.stored() == {"/": {"views": 2}}


def test_calls_before_start_say_so() -> None:
    aggregator = quiet()
    for call in (aggregator.flush, aggregator.pending, aggregator.unknown, aggregator.request):
        with pytest.raises(LifecycleError, match=r"before start\(\)"):
            call()
    assert aggregator.shutdown() is None
    assert aggregator.stats().state == "stopped"


def test_flush_after_shutdown_has_nothing_to_do(store: Store) -> None:
    with quiet() as aggregator:
        pass
    assert aggregator.flush().statements == 0


def test_blocking_calls_on_a_loop_name_their_twin(store: Store) -> None:
    async def misuse() -> None:
        async with quiet() as aggregator:
            for call, twin in ((aggregator.flush, "aflush"), (aggregator.shutdown, "ashutdown")):
                with pytest.raises(LifecycleError, match=twin):
                    call()
            with pytest.raises(LifecycleError, match="async with"):
                aggregator.__enter__()
            assert (await aggregator.aflush()).remaining == 0

    asyncio.run(misuse())


def test_what_cannot_be_written_at_shutdown_is_logged(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.faults = lambda _statement: Fault.NOT_SENT
    with quiet(shutdown_timeout=0.3):
        PageHits(url="/").increment(views=7)
    assert "7 unit(s) net, not written" in caplog.text


def test_a_request_joins_at_its_end_and_a_nested_one_joins_its_parent(store: Store) -> None:
    with quiet() as aggregator:
        with aggregator.request():
            PageHits(url="/").increment(views=1)
            with aggregator.request():
                PageHits(url="/").increment(views=1)
            assert aggregator.stats().accepted == 0
        assert aggregator.stats().accepted == 2
        assert aggregator.stats().increments == 2


def test_an_error_discards_only_where_it_was_asked_to(store: Store) -> None:
    with quiet() as aggregator:
        for discard in (False, True):
            with pytest.raises(KeyError), aggregator.request(discard_on_error=discard):
                PageHits(url="/").increment(views=1)
                raise KeyError
        assert aggregator.stats().accepted == 1
        with aggregator.request() as request:
            PageHits(url="/").increment(views=1)
            request.discard()
        assert aggregator.stats().accepted == 1


def test_a_request_is_shared_by_child_tasks_and_threads_and_late_ones_go_to_the_buffer(store: Store) -> None:
    async def child() -> None:
        await AsyncPageHits(url="/").increment(views=1)

    async def serve() -> None:
        async with quiet() as aggregator:
            late = asyncio.Event()

            async def linger() -> None:
                await late.wait()
                await AsyncPageHits(url="/late").increment(views=1)

            async with aggregator.request():
                await asyncio.gather(child(), child())
                await asyncio.to_thread(PageHits(url="/").increment, views=1)
                lingering = asyncio.create_task(linger())
                await asyncio.sleep(0)
                assert aggregator.stats().accepted == 0
            assert aggregator.pending(PageHits, url="/") == {"views": 3}
            late.set()
            await lingering
            assert aggregator.pending(PageHits, url="/late") == {"views": 1}

    asyncio.run(serve())


def test_the_join_of_a_request_never_finds_the_buffer_full(store: Store) -> None:
    with quiet(max_keys=5, when_full="raise") as aggregator:
        with aggregator.request():
            for number in range(12):
                PageHits(url=f"/{number}").increment(views=1)
        assert aggregator.stats().accepted == 12
        assert identity(aggregator.stats())
        assert aggregator.flush().remaining == 0
    assert len(store.stored()) == 12


def test_a_request_refuses_bad_input_at_the_call(store: Store) -> None:
    with quiet() as aggregator, aggregator.request():
        with pytest.raises(InvalidQueryError):
            PageHits(url="/").increment(views=2**63)
        with pytest.raises(InvalidQueryError):
            PageHits(url="").increment(views=1)


def test_increment_many_takes_each_form_of_key(store: Store) -> None:
    with quiet() as aggregator:
        rows = [("/a", {"views": 1}), (("/b",), {"views": 2}), ({"url": "/c"}, {"views": 3, "unique_visitors": 1})]
        assert aggregator.increment_many(PageHits, rows) == 3
        with pytest.raises(InvalidQueryError, match=r"row 1 .*the 1 rows before it count"):
            aggregator.increment_many(PageHits, [("/a", {"views": 1}), ("", {"views": 1})])
        assert aggregator.stats().accepted == 8


def test_read_pending_adds_what_is_not_written_yet(store: Store) -> None:
    with quiet(read_pending=True):
        PageHits(url="/").increment(views=2)
        assert PageHits.get(url="/").views == 2
    assert PageHits.get(url="/").views == 2


def test_reads_are_left_alone_by_default(store: Store) -> None:
    with quiet():
        PageHits(url="/").increment(views=2)
        assert PageHits.find_one(url="/") is None


def test_a_sum_beyond_64_bits_is_refused_and_nothing_of_the_call_counts(store: Store) -> None:
    with quiet() as aggregator:
        PageHits(url="/").increment(unique_visitors=2**63 - 1)
        with pytest.raises(InvalidQueryError, match="beyond 64"):
            PageHits(url="/").increment(views=1, unique_visitors=1)
        assert aggregator.pending(PageHits, url="/") == {"unique_visitors": 2**63 - 1}
        assert identity(aggregator.stats())


def test_eight_threads_and_two_hundred_tasks_lose_nothing(store: Store) -> None:
    async def tasks() -> None:
        async def one(number: int) -> None:
            for step in range(50):
                await AsyncPageHits(url=f"/{(number + step) % 50}").increment(views=1)
                if step % 10 == 0:
                    await asyncio.sleep(0)

        await asyncio.gather(*(one(number) for number in range(200)))

    def thread() -> None:
        for number in range(5000):
            PageHits(url=f"/{number % 50}").increment(views=1)

    with Aggregator(flush_interval=0.005, max_keys=60) as aggregator:
        workers = [threading.Thread(target=thread) for _ in range(8)]
        workers.append(threading.Thread(target=lambda: asyncio.run(tasks())))
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        aggregator.flush()
        stats = aggregator.stats()
        assert identity(stats)
        assert stats.applied == 50_000
        assert stats.statements <= 50 * stats.flushes
    assert {row["views"] for row in store.stored().values()} == {1000}


SCRIPT = """
import sys
from typing import Annotated
from coodie.sync import CounterDocument, init_coodie
from coodie.fields import PrimaryKey, Counter
from aggregator import Aggregator

class PageHits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    class Settings:
        name = "page_hits"

init_coodie(driver_type="sqlite", database=sys.argv[1])
PageHits.sync_table()
Aggregator(flush_interval=None).start()
PageHits(url="/").increment(views=3)
"""


def run(script: str, database: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *options, "-c", script, str(database)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def views_in(database: Path) -> int:
    import sqlite3

    connection = sqlite3.connect(database)
    try:
        return int(connection.execute("SELECT coalesce(sum(views), 0) FROM page_hits").fetchone()[0])
    finally:
        connection.close()


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "raise ZeroDivisionError", "import threading"])
def test_the_interpreter_writes_what_is_pending_when_it_ends(tmp_path: Path, ending: str) -> None:
    run(SCRIPT + ending, tmp_path / "hits.db")
    assert views_in(tmp_path / "hits.db") == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_starts_empty_and_counts_its_own(tmp_path: Path) -> None:
    forked = SCRIPT + (
        "import os\n"
        "page = PageHits(url='/'); page.increment(views=1); method = page.increment\n"
        "child = os.fork()\n"
        "method(views=10)\n"
        "if child: assert os.waitpid(child, 0)[1] == 0\n"
    )
    done = run(forked, tmp_path / "hits.db", "-W", "ignore::DeprecationWarning")
    assert done.returncode == 0, done.stderr
    assert views_in(tmp_path / "hits.db") == 3 + 1 + 10 + 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_asking_a_forked_child_for_its_account_begins_nothing(tmp_path: Path) -> None:
    forked = SCRIPT + (
        "import aggregator, os\n"
        "child = os.fork()\n"
        "if child: assert os.waitpid(child, 0)[1] == 0\n"
        "else:\n"
        "    stats = aggregator.current().stats()\n"
        "    assert (stats.accepted, stats.pending, stats.state) == (0, 0, 'ok'), stats\n"
        "    assert aggregator.current()._machine is None\n"
    )
    done = run(forked, tmp_path / "hits.db", "-W", "ignore::DeprecationWarning")
    assert done.returncode == 0, done.stderr


def test_a_flush_shorter_than_an_answer_is_refused_at_first_use(store: Store) -> None:
    store.driver.request_timeout = 30.0
    with quiet(), pytest.raises(ConfigurationError, match=r"flush_timeout=20.0 .* request_timeout is 30.0 s"):
        PageHits(url="/").increment(views=1)
    with quiet(flush_timeout=31):
        PageHits(url="/").increment(views=1)
    assert store.stored() == {"/": {"views": 1}}
