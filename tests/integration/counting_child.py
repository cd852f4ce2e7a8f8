"""A worker with a status socket of its own: counts ten hits, writes them, and waits until its standard input ends."""

from __future__ import annotations

import sys

from aggregator import Aggregator
from coodie.sync import init_coodie
from tests.integration.test_cli_status import Hits


def main() -> None:
    directory = sys.argv[1]
    init_coodie(database=f"{directory}/hits.db")
    Hits.sync_table()
    with Aggregator(flush_interval=None, status=f"{directory}/child-{{pid}}.sock") as aggregator:
        for _ in range(10):
            Hits(url="/a").increment(views=1)
        aggregator.flush()
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
