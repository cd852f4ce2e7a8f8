"""
Count words with counters, from a plain script.

Run: python examples/script_sync.py            (the embedded store, coodie.db)
     COODIE_HOSTS=127.0.0.1 COODIE_KEYSPACE=web python examples/script_sync.py
"""

from __future__ import annotations

import sys
from typing import Annotated

from aggregator import Aggregator
from coodie.fields import Counter, PrimaryKey
from coodie.sync import CounterDocument, init_coodie

TEXT = "the more the merrier and the sooner the better"


class WordCounts(CounterDocument):
    word: Annotated[str, PrimaryKey()]
    times: Annotated[int, Counter()] = 0

    class Settings:
        name = "word_counts"


def main() -> None:
    init_coodie()
    WordCounts.sync_table()
    with Aggregator() as aggregator:  # on exit: the last flush
        for word in TEXT.split():
            WordCounts(word=word).increment(times=1)  # memory only
        result = aggregator.flush()  # not needed before the exit; it tells what was written
    print(f"{result.applied} words in {result.statements} statements")
    print(f"the: {WordCounts.get(word='the').times}")
    sys.exit(0 if result.remaining == 0 else 1)


if __name__ == "__main__":
    main()
