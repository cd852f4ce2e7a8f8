"""
Start a cluster and keep it: ``python -m tests.support.cassandra --nodes 3``.

Prints one line of JSON when it is ready (``{"hosts": [...], "port": 9042, "pids": [...]}``) and ends it when the
standard input, if that is a pipe or a terminal, closes, or on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import stat
import sys

from tests.support.cassandra import Cluster, NotAvailable
from tests.support.cassandra.choice import fetch


def main() -> int:
    """Run one cluster until told to end; return 2 where this machine cannot run one."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.cassandra", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1, choices=range(1, 6))
    parser.add_argument("--fetch", action="store_true", help="only fetch what a start will need")
    options = parser.parse_args()
    if options.fetch:
        fetch(print)
        return 0
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        with Cluster.start(options.nodes) as cluster:
            told = {"hosts": cluster.hosts, "port": cluster.port, "pids": [node.pid for node in cluster.nodes]}
            print(json.dumps(told), flush=True)
            _wait_for_the_end()
    except NotAvailable as missing:
        print(f"no Cassandra: {missing}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _wait_for_the_end() -> None:
    if sys.stdin.isatty() or stat.S_ISFIFO(os.fstat(0).st_mode):
        sys.stdin.read()
    else:  # started in the background, where the input is closed from the first
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
