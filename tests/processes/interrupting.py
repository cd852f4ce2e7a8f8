"""
Processes whose increments come from odd places, and whose flushes are cut short; see ``nursery``.

Rules that live here: a deadlock ends the process with the stacks of its threads (``forking.watch``); what a program
counted it tells itself, call by call, since these calls come from any thread and in the middle of one another.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import json
import logging
import os
import random
import signal
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aggregator import Aggregator
from coodie import drivers
from coodie.aio import CounterDocument as AioCounterDocument
from tests.processes.forking import HANG_S, watch
from tests.processes.programs import connect
from tests.processes.tables import COLUMNS, ROWS, Account, cell, key, models, steps

CALLS = 5000


class Odd:
    """An aggregator, and ``count``, which may be called from anywhere."""

    def __init__(self, base: str, kind: str, journal: bool, **options: Any) -> None:
        watch(HANG_S)
        connect(base)
        self.models = models(kind)
        self.calls: list[int] = []  # the counters of calls that have returned; appending is atomic
        self.interruptions: list[int] = []  # the threads on which there was one
        path = f"{base}/journal" if journal else None
        chosen = {"flush_interval": 0.002, "max_keys": 1000, "max_batch_size": 20, "journal": path} | options
        self.aggregator = Aggregator(**chosen)

    def count(self, row: int) -> None:
        self.models["hits"](**key("hits", row)).increment(views=1)
        self.calls.append(cell("hits", row, "views"))

    def interrupt(self) -> None:
        """Count from an odd place."""
        self.count(random.randrange(ROWS))
        self.interruptions.append(threading.get_ident())

    def tell(self) -> None:
        """Shut down, and tell how often each counter was counted."""
        assert self.aggregator.shutdown().remaining == 0
        print(json.dumps(Counter(self.calls)))


def interrupted(base: str, kind: str, journal: bool, source: str) -> None:
    """Count from the main thread and, in the middle of that and of the flusher's work, from another place."""
    callbacks: list[Callable[[], None]] = []
    odd = Odd(base, kind, journal, on_flush=lambda _: [each() for each in callbacks])
    with odd.aggregator:
        stop = SOURCES[source](odd, callbacks)
        chance = random.Random(1)
        while len(odd.calls) < CALLS or len(odd.interruptions) < CALLS / 100:
            odd.count(chance.randrange(ROWS))
        stop()
        callbacks.clear()
        odd.tell()


def _callbacks(odd: Odd, callbacks: list[Callable[[], None]]) -> Callable[[], None]:
    callbacks.append(odd.interrupt)
    return callbacks.clear


def _signals(odd: Odd, callbacks: list[Callable[[], None]]) -> Callable[[], None]:
    signal.signal(signal.SIGVTALRM, lambda *_: odd.interrupt())
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.0005, 0.0005)
    return lambda: signal.setitimer(signal.ITIMER_VIRTUAL, 0) and None


class _Dying:
    """Counts when it is collected: in a cycle, so that the collector does it wherever it happens to run."""

    def __init__(self, odd: Odd) -> None:
        self.odd, self.me = odd, self

    def __del__(self) -> None:
        self.odd.interrupt()


def _finalizers(odd: Odd, callbacks: list[Callable[[], None]]) -> Callable[[], None]:
    return _littering(lambda: _Dying(odd))


class _Plain:
    """Something to refer to weakly."""


def _weakrefs(odd: Odd, callbacks: list[Callable[[], None]]) -> Callable[[], None]:
    kept: set[Any] = set()

    def called(reference: Any) -> None:
        kept.discard(reference)
        odd.interrupt()

    def litter() -> None:
        thing: Any = _Plain()
        thing.me = thing
        kept.add(weakref.ref(thing, called))

    return _littering(litter)


def _littering(litter: Callable[[], object]) -> Callable[[], None]:
    """Make garbage on a thread of its own, with a collector that runs all the time, on whatever thread allocates."""
    done = threading.Event()
    before = gc.get_threshold()
    gc.set_threshold(20, 2, 2)

    def run() -> None:
        while not done.wait(0.0002):
            litter()

    thread = threading.Thread(target=run)
    thread.start()

    def stop() -> None:
        done.set()
        thread.join()
        gc.collect()
        gc.set_threshold(*before)

    return stop


def _log_records(odd: Odd, callbacks: list[Callable[[], None]]) -> Callable[[], None]:
    """Count whenever something is logged; a table that is missing sees to that."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            odd.interrupt()

    handler, model = Handler(), odd.models["days"]
    logging.getLogger("aggregator").addHandler(handler)
    model.drop_table()
    model(**key("days", 0)).increment(seen=1)
    callbacks.append(lambda: logging.getLogger("aggregator").warning("something was written"))

    def stop() -> None:
        logging.getLogger("aggregator").removeHandler(handler)
        model.sync_table()
        model(**key("days", 0)).decrement(seen=1)

    return stop


SOURCES: dict[str, Callable[[Odd, list[Callable[[], None]]], Callable[[], None]]] = {
    "callback": _callbacks,
    "signal": _signals,
    "finalizer": _finalizers,
    "weakref": _weakrefs,
    "log": _log_records,
}


# --- exceptions out of signal handlers --------------------------------------------------------------------------


class Cut(Exception):
    """What the handler raises."""


def cut_short(base: str, kind: str, journal: bool, cuts: int, seed: int) -> None:
    """Count far more rows than there is room for, while a timer's handler raises inside the calls, at any instant."""
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    connect(base)
    account, found, chance = Account(Path(base, "account"), 1), models(kind), random.Random(seed)
    signal.signal(signal.SIGALRM, _raise_cut)
    with Aggregator(flush_interval=0.002, max_keys=20, journal=f"{base}/journal" if journal else None) as aggregator:
        for table in found:  # what a table's first increment makes takes longer than any timer here
            account.increment(0, found[table], table, 1, {COLUMNS[table][0]: 1})
        for table, row, deltas in steps(chance):
            try:
                signal.setitimer(signal.ITIMER_REAL, 10 ** chance.uniform(-6.0, -2.5))
                account.increment(0, found[table], table, row, deltas)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Cut:
                cuts -= 1
            if cuts <= 0 and account.calls() >= 1000:
                break
        assert aggregator.shutdown().remaining == 0
    print(json.dumps(-cuts))


def _raise_cut(*_signal: object) -> None:
    raise Cut


# --- event loops that end, tasks that are cancelled -------------------------------------------------------------


def loops(base: str, kind: str, journal: bool, rounds: int, seed: int) -> None:
    """Cancel what counts and what flushes at any await, and end the loop while flushes run, again and again."""
    odd = Odd(base, kind, journal, max_keys=20, max_batch_size=20)
    chance = random.Random(seed)
    hits = models(kind, AioCounterDocument)["hits"]

    async def count() -> None:
        while True:
            row = chance.randrange(ROWS)
            await hits(**key("hits", row)).increment(views=1)
            odd.calls.append(cell("hits", row, "views"))
            if chance.random() < 0.2:
                await asyncio.sleep(0)

    async def serve() -> None:
        tasks = [asyncio.create_task(count()) for _ in range(4)]
        for _ in range(5):
            flush = asyncio.create_task(odd.aggregator.aflush())
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            flush.cancel()
            chance.choice(tasks).cancel()
            tasks.append(asyncio.create_task(count()))
        tasks.append(asyncio.create_task(odd.aggregator.aflush()))
        await asyncio.sleep(0)  # and the loop ends, with all of them under way

    with odd.aggregator:
        for _ in range(rounds):
            asyncio.run(serve())
        odd.tell()


# --- a database that hangs --------------------------------------------------------------------------------------


def hanging(base: str, kind: str, ending: str) -> None:
    """Shut down, or just end, while the database answers nothing; without end, if it had to be waited for."""
    odd = Odd(base, kind, journal=True, flush_interval=None, shutdown_timeout=0.3)
    driver = drivers.get_driver()
    hangs = threading.Event()

    def execute_many(work: Any, *_more: Any, **_options: Any) -> None:
        next(iter(work))  # it was handed over, and nothing is ever told about it
        hangs.set()
        threading.Event().wait()

    driver.execute_many = execute_many
    odd.aggregator.start()
    for row in range(50):
        odd.count(row)
    print(json.dumps(Counter(odd.calls)), flush=True)
    if ending == "shutdown":
        assert odd.aggregator.shutdown().remaining == 50
        assert hangs.is_set()
        os._exit(0)
    elif ending == "asyncio":

        async def serve() -> None:
            async with odd.aggregator:
                pass

        asyncio.run(serve())
