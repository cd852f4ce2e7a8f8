"""
A flush or a write whose caller goes away: cancelled at any await, timed out, its event loop closed in the middle.

What was handed to the driver goes on and is accounted for; what was not stays pending. Nothing is sent twice for it.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import acsylla
import pytest

import coodie.aio
from aggregator import Aggregator
from coodie.drivers import _registry as registry
from tests.support import field, oracle
from tests.support.load import document, quiesce
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from tests.support.cassandra import Server

SEED = 20_260_205
ROUNDS = 40


@pytest.fixture
def proxy(cassandra: Server) -> Iterator[Proxy]:
    with Proxy(cassandra.hosts[0], cassandra.port) as made:
        yield made


def judge(running: Aggregator, kind: str, accepted: dict[str, int], found: dict[str, int], table: str) -> None:
    """Compare every row with what was accepted, and settle what is parked."""
    oracle.check_identity(running)
    if kind == "exact":
        oracle.check_exact(accepted, found)
    else:
        oracle.check_native(accepted, found, oracle.unknown_by_row(running, table, "views"))
    for item in running.unknown():
        running.resolve(item, apply=False)


@pytest.mark.parametrize("kind", field.KINDS)
@pytest.mark.parametrize("driver", field.DRIVERS)
def test_a_flush_cancelled_at_any_await_is_accounted_for(
    proxy: Proxy, keyspace: str, cassandra_session: Session, driver: str, kind: str
) -> None:
    chance = random.Random(SEED)
    accepted = dict.fromkeys((f"/{number}" for number in range(20)), 0)

    async def cancelled(running: Aggregator, steps: int) -> None:
        task = asyncio.create_task(running.aflush())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    with field.one(driver, kind, proxy, keyspace) as hits, Aggregator(flush_interval=None) as running:
        for _ in range(ROUNDS):
            for row in accepted:
                hits(url=row).increment(views=1)
                accepted[row] += 1
            asyncio.run(cancelled(running, chance.randrange(8)))
        quiesce(running)
        assert running.stats().unknown == 0  # the flush itself was not cancelled
        table = f"{keyspace}.{hits.Settings.name}"
        judge(running, kind, accepted, field.stored(cassandra_session, table, ""), table)


@pytest.mark.parametrize("kind", field.KINDS)
def test_a_flush_that_takes_too_long_leaves_nothing_uncounted(
    proxy: Proxy, keyspace: str, cassandra_session: Session, kind: str
) -> None:
    with field.one("cassandra", kind, proxy, keyspace) as hits, Aggregator(flush_interval=None) as running:
        hits(url="/first").increment(views=1)
        running.flush()
        held = proxy.hold_reply(field.WRITES[kind])
        for number in range(50):
            hits(url=f"/{number}").increment(views=2)
        result = running.flush(timeout=0.2)
        assert held.wait()
        assert result.remaining > 0
        held.release()
        quiesce(running)
        accepted = {"/first": 1, **{f"/{number}": 2 for number in range(50)}}
        table = f"{keyspace}.{hits.Settings.name}"
        judge(running, kind, accepted, field.stored(cassandra_session, table, ""), table)


# --- a session of the application's own loop -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", field.KINDS)
def test_a_loop_closed_in_the_middle_of_a_flush_parks_or_keeps_what_it_had(
    proxy: Proxy, keyspace: str, cassandra_session: Session, kind: str
) -> None:
    hits = document(f"hits_{uuid.uuid4().hex[:8]}", kind, "default", coodie.aio)
    running = Aggregator(flush_interval=None)

    async def one_life(work: Callable[[], Awaitable[None]]) -> None:
        cluster = acsylla.create_cluster([proxy.address], port=proxy.port, request_timeout=field.REQUEST_TIMEOUT_S)
        session = await cluster.create_session(keyspace=keyspace)
        await coodie.aio.init_coodie(session=session, keyspace=keyspace)
        await work()
        await session.close()

    async def cut_short() -> None:
        await hits.sync_table()
        running.start()
        await hits(url="/hit").increment(views=1)
        assert (await running.aflush()).remaining == 0
        fault = proxy.hold_reply(field.WRITES[kind])
        await hits(url="/hit").increment(views=20)
        task = asyncio.create_task(running.aflush())
        await asyncio.to_thread(fault.wait)
        task.cancel()  # and out: the loop ends with the statement in flight

    async def take_up() -> None:
        await hits(url="/hit").increment(views=300)
        await asyncio.to_thread(quiesce, running, 30)
        table = f"{keyspace}.{hits.Settings.name}"
        judge(running, kind, {"/hit": 321}, field.stored(cassandra_session, table, ""), table)
        await running.ashutdown()

    registry.clear()
    try:
        asyncio.run(one_life(cut_short))
        asyncio.run(one_life(take_up))
    finally:
        registry.clear()


@pytest.mark.parametrize("driver", field.DRIVERS)
def test_a_direct_write_cancelled_at_any_await_is_applied_or_parked(
    proxy: Proxy, keyspace: str, cassandra_session: Session, driver: str
) -> None:
    chance = random.Random(SEED)

    async def count(hits: Any) -> None:
        for _ in range(ROUNDS):
            task = asyncio.ensure_future(hits(url="/hit").increment(views=1))
            for _ in range(chance.randrange(5)):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:  # writes that go on without their caller
            await asyncio.wait(tasks)

    with (
        field.one(driver, "native", proxy, keyspace) as made,
        Aggregator(flush_interval=None, mode="direct") as running,
    ):
        table = f"{keyspace}.{made.Settings.name}"
        asyncio.run(count(document(made.Settings.name, "native", driver, coodie.aio)))
        stats = running.stats()
        found = field.stored(cassandra_session, table, "").total()
        assert stats.accepted == stats.applied + stats.unknown + stats.dropped
        assert stats.applied <= found <= stats.applied + stats.unknown
        for item in running.unknown():
            running.resolve(item, apply=False)
