"""
acsylla without a mapper: the statements that ``reader.py`` sends, their rows as dicts.

Rules that live here: arguments and lines are those of ``reader.py``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import acsylla

sys.path.append(str(Path(__file__).parent))

from tables import TABLES

TASKS = 100


async def opened(host: str, port: str, keyspace: str) -> tuple[Any, Any, Any]:
    """Return a session and its two statements."""
    session = await acsylla.create_cluster([host], port=int(port)).create_session()
    every = f"SELECT {', '.join(table.row(0))} FROM {keyspace}.{table.name} WHERE {table.partition} = ?"
    one = f"{every} AND {table.clustering} = ? LIMIT ?"
    return session, await session.create_prepared(one), await session.create_prepared(every)


async def get(session: Any, one: Any, calls: int) -> None:
    """Read rows by their keys, each task one after the other."""
    shared = iter(range(calls))

    async def task() -> None:
        for number in shared:
            result = await session.execute(one.bind((*keys[number % len(keys)], 2)))
            found = [row.as_dict() for row in result]
            assert len(found) == 1

    await asyncio.gather(*(task() for _ in range(TASKS)))


async def everything(session: Any, every: Any, rows: int) -> None:
    """Read all rows of the partition, page by page."""
    found: list[dict[str, Any]] = []
    statement = every.bind(tuple(table.whole.values()))
    while True:
        result = await session.execute(statement)
        found += [row.as_dict() for row in result]
        if not result.has_more_pages():
            break
        statement.set_page_state(result.page_state())
    assert len(found) == rows


if __name__ == "__main__":
    table = TABLES[sys.argv[1]]
    keys = [tuple(table.key(number).values()) for number in range(1_000)]
    with asyncio.Runner() as runner:
        session, one, every = runner.run(opened(*sys.argv[2:]))
        gc.freeze()  # what was loaded so far is not to be collected again and again
        for line in sys.stdin:
            operation, number = line.split()
            began = perf_counter()
            runner.run(
                get(session, one, int(number)) if operation == "get" else everything(session, every, int(number))
            )
            print(json.dumps(perf_counter() - began), flush=True)
