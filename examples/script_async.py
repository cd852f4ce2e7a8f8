"""
Count events from many tasks at once, from a plain asyncio script.

Run: python examples/script_async.py           (the embedded store, coodie.db)
     COODIE_HOSTS=127.0.0.1 COODIE_KEYSPACE=web python examples/script_async.py
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from aggregator import Aggregator
from coodie.aio import CounterDocument, init_coodie
from coodie.fields import Counter, PrimaryKey

TASKS, EVENTS = 50, 200


class SensorEvents(CounterDocument):
    sensor: Annotated[str, PrimaryKey()]
    seen: Annotated[int, Counter()] = 0
    alarms: Annotated[int, Counter()] = 0

    class Settings:
        name = "sensor_events"


async def listen(number: int) -> None:
    """Pretend to hear events of one of five sensors; every tenth is an alarm."""
    sensor = SensorEvents(sensor=f"sensor-{number % 5}")
    for event in range(EVENTS):
        await sensor.increment(seen=1, alarms=int(event % 10 == 0))  # memory only
        await asyncio.sleep(0)


async def main() -> None:
    await init_coodie()
    await SensorEvents.sync_table()
    async with Aggregator(flush_interval=0.2) as aggregator:  # on exit: the last flush
        await asyncio.gather(*(listen(number) for number in range(TASKS)))
    stats = aggregator.stats()
    print(f"{stats.increments} increments in {stats.statements} statements")
    for row in sorted(await SensorEvents.find().all(), key=lambda row: row.sensor):
        print(f"{row.sensor}: {row.seen} events, {row.alarms} alarms")


if __name__ == "__main__":
    asyncio.run(main())
