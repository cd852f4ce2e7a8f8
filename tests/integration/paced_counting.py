"""
A worker process of a real deployment: counts keys by Zipf's law at a pace, and prints what its aggregator did.

``python -m tests.integration.paced_counting DATABASE RATE KEYS ZIPF INTERVAL BATCH SECONDS SEED``
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import time
from typing import Annotated

from aggregator import Aggregator
from coodie.fields import Counter, PrimaryKey
from coodie.sync import CounterDocument, init_coodie


class PageHits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]


def main() -> None:
    database, *numbers = sys.argv[1:]
    rate, keys, zipf, interval, batch, seconds, seed = map(float, numbers)
    chance = random.Random(seed)
    weights = list(itertools.accumulate(rank**-zipf for rank in range(1, int(keys) + 1)))
    init_coodie(database=database)
    PageHits.sync_table()
    with Aggregator(flush_interval=interval, max_batch_size=int(batch)) as aggregator:
        for rank in range(int(keys)):  # as in a process that has run for a while, no row is new
            PageHits(url=f"/{rank}").increment(views=1)
        aggregator.flush()
        print("begun", flush=True)
        before, began, hits = aggregator.stats(), time.monotonic(), 0
        while (elapsed := time.monotonic() - began) < seconds:
            due = int(elapsed * rate) - hits
            for rank in chance.choices(range(int(keys)), cum_weights=weights, k=due):
                PageHits(url=f"/{rank}").increment(views=1)
            hits += due
            time.sleep(0.002)
        after, elapsed = aggregator.stats(), time.monotonic() - began
    told = {
        "hits": hits,
        "seconds": elapsed,
        "statements": after.statements - before.statements,
        "until_last_flush": elapsed - (after.last_flush_s or 0.0),  # what came later was not written yet
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
