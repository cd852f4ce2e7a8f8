"""
The mapper over acsylla, on one event loop: ``get`` by many tasks, ``find().all()`` of a whole partition.

Rules that live here: arguments are the name of the table, host, port and keyspace; each line read is ``get CALLS`` or
``all ROWS``, the answer is the seconds it took by the clock on the wall. The table and its rows are there already.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import coodie.aio

sys.path.append(str(Path(__file__).parent))

from tables import TABLES

TASKS = 100


async def opened(host: str, port: str, keyspace: str) -> Any:
    """Connect, and return the class."""
    await coodie.aio.init_coodie(hosts=[host], port=int(port), keyspace=keyspace, driver_type="acsylla")
    return table.model("aio")


async def get(product: Any, calls: int) -> None:
    """Read rows by their keys, each task one after the other."""
    shared = iter(range(calls))

    async def task() -> None:
        for number in shared:
            await product.get(**keys[number % len(keys)])

    await asyncio.gather(*(task() for _ in range(TASKS)))


async def everything(product: Any, rows: int) -> None:
    """Read all rows of the partition."""
    assert len(await product.find(**table.whole).all()) == rows


if __name__ == "__main__":
    table = TABLES[sys.argv[1]]
    keys = [table.key(number) for number in range(1_000)]
    with asyncio.Runner() as runner:
        product = runner.run(opened(*sys.argv[2:]))
        gc.freeze()  # what was loaded so far is not to be collected again and again
        for line in sys.stdin:
            operation, number = line.split()
            began = perf_counter()
            runner.run({"get": get, "all": everything}[operation](product, int(number)))
            print(json.dumps(perf_counter() - began), flush=True)
