"""
A partition between two nodes, then between the client and one: ``unshare -rn python -m tests.support.partition``.

Rules that live here: it prints a line for each partition through which what was accepted was stored; whatever does not
hold is an AssertionError and an exit code.
"""

from __future__ import annotations

import sys

from tests.support import field, frames, networks
from tests.support.cassandra import Cluster
from tests.support.field import Field
from tests.support.load import quiesce
from tests.support.session import connected


def suffer(ground: Field, cluster: Cluster, one: str, other: str, *, is_between_nodes: bool) -> None:
    """Count through a partition and its end, and judge what is stored."""
    with ground.aggregator() as running:
        with ground.load() as load:
            ground.flushes.wait(field.whole)
            with networks.parted(one, other):
                if is_between_nodes:  # they go on to hear of each other by the third: neither is ever missed
                    ground.flushes.wait(field.troubled)
                else:  # the clients may be done with the node before anything that is counted goes to it
                    assert not frames.answers(other, networks.NATIVE)
                    ground.flushes.wait(field.whole)
                ground.flushes.wait(lambda result: result.statements)
            ground.flushes.wait(field.whole)
        quiesce(running)
        cluster.wait_connected()
        ground.judge(running, load)
        print(f"held: {one} and {other} parted, {len(running.unknown())} rows with unknown deltas", flush=True)
        ground.forget(running)


def main() -> int:
    """Part two nodes, then the client and a node."""
    with (
        networks.cluster(3, "-XX:TieredStopAtLevel=1", phi_convict_threshold=5) as cluster,
        connected(cluster.hosts, cluster.port, seconds=60) as session,
    ):
        field.make_keyspace(session, 3)
        with field.connected(cluster.hosts, cluster.port) as spots:
            first, second, third = cluster.hosts
            suffer(Field(session, spots), cluster, second, third, is_between_nodes=True)
            suffer(Field(session, spots), cluster, networks.addresses(1)[1], first, is_between_nodes=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
