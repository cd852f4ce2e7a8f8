"""
Programs that fork with open connections: ``python -m tests.support.fork_processes PROGRAM DRIVER HOST PORT KEYSPACE``.

Rules that live here: a program prints one line of JSON when all is done; a child that hangs is killed by its own alarm,
which shows in its exit code. The table is there already.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Annotated, Any

import coodie.aio
import coodie.sync
from coodie import drivers
from coodie.cql import render
from coodie.drivers import get_driver, init_coodie
from coodie.exceptions import ConfigurationError
from coodie.fields import Counter, PrimaryKey
from coodie.schema import table_of
from coodie.statement import CounterUpdate, Fate, Outcome, Statement

TABLE = "fork_hits"
IN_CHILD = 122  # what a child adds to its row
CHILD_SECONDS = 60


class Hits(coodie.sync.CounterDocument):
    """A counter table, on the sync face."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]

    class Settings:
        name = TABLE


class AsyncHits(coodie.aio.CounterDocument):
    """The same on the other face."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]

    class Settings:
        name = TABLE


class Writing:
    """A thread that keeps writing through the default driver; ``fates`` counts what it was told."""

    def __init__(self, url: str) -> None:
        self.fates: dict[Fate, int] = {}
        self._url = url
        self._stop, self._begun = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writing:
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            write(self._url, 40, self._count)
            self._begun.set()

    def _count(self, index: int, outcome: Outcome, count: int = 1) -> None:
        self.fates[outcome.fate] = self.fates.get(outcome.fate, 0) + count


def write(url: str, count: int, settle: Callable[..., None]) -> None:
    """Add 1 to a row so many times, as a flush does."""
    driver = get_driver()
    table = table_of(Hits).qualified(driver._default_keyspace)
    update = Statement(CounterUpdate(table, ("views",)), (), render)
    driver.execute_many(((update, (1, url)) for _ in range(count)), 8, settle)


def applied(index: int, outcome: Outcome, count: int = 1) -> None:
    """Take the fate of what must be applied."""
    assert outcome.fate is Fate.APPLIED, outcome


def in_child(work: Callable[[], None]) -> Callable[[], None]:
    """Return work that says where it stands, and ends with an exit code of its own, when it hangs."""

    def guarded() -> None:
        signal.alarm(CHILD_SECONDS)
        work()

    return guarded


def use(url: str) -> None:
    """Use the inherited connection in every way there is; adds IN_CHILD to a row."""
    Hits(url=url).increment(views=1)
    write(url, 100, applied)

    async def both() -> None:
        await asyncio.gather(*(AsyncHits(url=url).increment(views=1) for _ in range(20)))
        assert (await AsyncHits.get(url=url)).views % IN_CHILD == IN_CHILD - 1

    asyncio.run(both())
    Hits(url=url).increment(views=1)
    assert Hits.get(url=url).views % IN_CHILD == 0


def by_fork(work: Callable[[], None]) -> int:
    """Run a function in a child that ends as a program does; return its exit code."""
    pid = os.fork()
    if pid == 0:
        in_child(work)()
        sys.exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def by_multiprocessing(work: Callable[[], None]) -> int:
    """Run a function in a child of ``multiprocessing`` and return its exit code, 7 where it ended well."""
    process = multiprocessing.get_context("fork").Process(target=in_child(work))
    process.start()
    process.join()
    return 7 if process.exitcode == 0 else int(process.exitcode or 1)


def forks() -> dict[str, Any]:
    """Fork again and again while another thread writes; children use the connection and end."""
    codes = []
    with Writing("/parent") as writing:

        def child() -> None:
            told = dict(writing.fates)
            use("/child")
            assert writing.fates == told, "the child was told of what is in flight in its parent"

        for _ in range(3):
            codes.append(by_fork(child))
            codes.append(by_multiprocessing(child))
    write("/parent", 10, writing._count)
    return {
        "codes": sorted(set(codes)),
        "child": Hits.get(url="/child").views,
        "parent": Hits.get(url="/parent").views,
        "told": {fate.name: count for fate, count in writing.fates.items()},
    }


def at_any_instant() -> dict[str, Any]:
    """Fork while a thread connects, prepares and writes for the first time: locks are held, much is half made."""
    Hits(url="/"), AsyncHits(url="/")  # pydantic's own locks, taken at the first instance, are none of ours
    codes = []
    for _ in range(4):
        opening = threading.Thread(target=lambda: use("/opening"))
        opening.start()
        codes.append(by_fork(lambda: use("/child")))
        opening.join()
    return {"codes": sorted(set(codes)), "child": Hits.get(url="/child").views}


def idle() -> dict[str, Any]:
    """Fork children that end without using the connection, or throw it away; and one that forks itself."""

    def nothing() -> None:
        """Leave it to the end of the interpreter."""

    def throw_away() -> None:
        drivers._registry.clear()
        gc.collect()

    def close() -> None:
        get_driver().close()
        try:
            write("/child", 1, applied)
        except ConfigurationError:
            return
        raise AssertionError("a closed connection was used")

    def grandchild() -> None:
        use("/child")
        assert by_fork(lambda: use("/child")) == 7
        use("/child")

    with Writing("/parent") as writing:
        codes = [by_fork(each) for each in (nothing, throw_away, close, grandchild)]
    return {
        "codes": sorted(set(codes)),
        "child": Hits.get(url="/child").views,
        "parent": Hits.get(url="/parent").views,
        "told": {fate.name: count for fate, count in writing.fates.items()},
    }


PROGRAMS: dict[str, Callable[[], dict[str, Any]]] = {"forks": forks, "at_any_instant": at_any_instant, "idle": idle}

if __name__ == "__main__":
    program, kind, host, port, keyspace = sys.argv[1:]
    faulthandler.register(signal.SIGALRM, chain=True)  # tells where each thread stands; then the signal ends it
    signal.alarm(4 * CHILD_SECONDS)
    lazy = program == "at_any_instant"
    init_coodie([host], driver_type=kind, port=int(port), keyspace=keyspace, lazy=lazy)
    found = PROGRAMS[program]()
    get_driver().close()
    print(json.dumps(found))
