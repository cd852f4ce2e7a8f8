"""
Nodes paused, killed and restarted under load: what was accepted is what three replicas hold together.

A flush with errors shows that a fault is felt, one without that the rest has been found again: tests wait for these,
not for time. Every table of the field, native and exact, over either driver, meets each fault at once.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor

from tests.support import field, oracle
from tests.support.cassandra import Cluster, Node
from tests.support.cassandra.nodetool import nodetool
from tests.support.field import Field
from tests.support.load import quiesce


def test_a_paused_node_is_passed_by_and_only_what_was_in_flight_is_unknown(ground: Field, cluster3: Cluster) -> None:
    with ground.aggregator() as running:
        with ground.load() as load:
            ground.flushes.wait(field.whole)
            cluster3.nodes[0].pause()
            ground.flushes.wait(field.troubled)
            ground.flushes.wait(field.whole)  # the node is still paused
            cluster3.nodes[0].resume()
            ground.flushes.wait(field.whole)
        quiesce(running)
        ground.judge(running, load)
        ground.forget(running)


def test_a_node_killed_and_started_again_loses_nothing(ground: Field, cluster3: Cluster) -> None:
    with ground.aggregator() as running:
        with ground.load() as load:
            ground.flushes.wait(field.whole)
            cluster3.nodes[1].kill()
            ground.flushes.wait(field.troubled)
            ground.flushes.wait(field.whole)
            cluster3.nodes[1].start()
            ground.flushes.wait(field.whole)
        quiesce(running)
        cluster3.wait_connected()
        ground.judge(running, load)
        ground.forget(running)


def test_without_a_quorum_the_buffer_is_bounded_and_nothing_is_tried_in_a_loop(
    ground: Field, cluster3: Cluster
) -> None:
    most = len(ground.spots) * 36 + 40
    with ground.aggregator(max_keys=most, max_batch_size=50, when_full="raise") as running:
        with ground.load() as load:
            ground.flushes.wait(field.whole)
            for node in cluster3.nodes[1:]:
                node.kill()
            ground.flushes.wait_until(lambda: running.stats().state == "backing_off")
            began, flushes = time.monotonic(), running.stats().flushes
            new = [load.count(ground.spots[0].model, f"{ground.prefix}/up/new-{number}", 1) for number in range(most)]
            assert not all(new)
            assert field.rows_kept(running) <= most
            ground.flushes.wait(lambda result: running.stats().flushes >= flushes + 4)
            tried = running.stats().flushes - flushes
            assert tried <= tries_allowed(time.monotonic() - began, connections=2)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(Node.start, cluster3.nodes[1:]))
        quiesce(running)
        cluster3.wait_connected()
        assert running.stats().state == "ok"
        ground.judge(running, load)
        ground.forget(running)


def tries_allowed(seconds: float, connections: int) -> int:
    """Return how many flushes a backoff that doubles from a quarter of a second, at the shortest, can have tried."""
    return connections * (2 + int(math.log2(1 + seconds / 0.125)))


def test_a_rolling_restart_loses_nothing(ground: Field, cluster3: Cluster) -> None:
    with ground.aggregator() as running:
        with ground.load() as load:
            for node in cluster3.nodes:
                ground.flushes.wait(field.whole)
                node.stop()
                assert "Cassandra shutdown complete" in node.log_text()  # which drains
                node.start()
                cluster3.wait_connected()
        quiesce(running)
        ground.judge(running, load)
        ground.forget(running)


def test_a_node_that_loses_its_commit_log_takes_nothing_from_an_exact_table(ground: Field, cluster3: Cluster) -> None:
    node = cluster3.nodes[2]
    with ground.aggregator() as running:
        with ground.load(kinds=["up"]) as load:
            ground.flushes.wait(field.whole)
            ground.flushes.wait_until(lambda: running.stats().increments > 3000)
            node.kill()
            for segment in (node.place.folder / "commitlog").glob("CommitLog-*.log"):
                segment.unlink()
            node.start()
            cluster3.wait_connected()
            ground.flushes.wait(field.whole)
            counted = running.stats().increments
            ground.flushes.wait_until(lambda: running.stats().increments > counted + 3000)
        quiesce(running)
        for spot in ground.of_kind("exact"):
            ground.judge_one(running, load, spot)
        # A native counter keeps no such promise: the node counts on from what it still has, and the others believe it.
        for spot in ground.of_kind("native"):
            unknown = oracle.unknown_by_row(running, spot.table, "views").total()
            assert ground.stored(spot).total() < load.accepted[spot.model].total() - unknown
        ground.forget(running)


def test_a_write_timeout_of_the_server_is_unknown_and_parked(ground: Field, cluster3: Cluster) -> None:
    with ground.aggregator() as running:
        with ground.load(rows=40, threads=3) as load:
            ground.flushes.wait(field.whole)
            set_timeouts(cluster3.nodes[0], 1)
            try:
                found = ground.flushes.wait(field.troubled)
            finally:
                set_timeouts(cluster3.nodes[0], 2000)
            assert any("Operation timed out - received only" in error for error in found.errors), found
            ground.flushes.wait(field.whole)
        quiesce(running)
        ground.judge(running, load)
        ground.forget(running)


def set_timeouts(node: Node, milliseconds: int) -> None:
    """Set how long a node waits for the others at a write of either kind."""
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(nodetool, node, "settimeout", kind, str(milliseconds)) for kind in ("counterwrite", "write")
        ]
    for job in jobs:
        job.result()
