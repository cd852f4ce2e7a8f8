"""
A cassandra-driver session for arranging and checking, apart from the code under test.

Rules that live here: it never re-sends, so that a check of the totals is never itself what changed them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import FallthroughRetryPolicy, RoundRobinPolicy


@contextmanager
def connected(hosts: Sequence[str], port: int, seconds: float = 20, **options: Any) -> Iterator[Session]:
    """Give a session on the servers; a statement may take ``seconds``, ``options`` go to ``Cluster``."""
    profile = ExecutionProfile(
        load_balancing_policy=RoundRobinPolicy(), retry_policy=FallthroughRetryPolicy(), request_timeout=seconds
    )
    profiles = {EXEC_PROFILE_DEFAULT: profile}
    # A busy machine needs longer than the usual 10 s until all nodes know a new table; before that, writes to it fail.
    patience = {"max_schema_agreement_wait": 90, "connect_timeout": 20, "control_connection_timeout": 20}
    cluster = Cluster(hosts, port=port, protocol_version=4, execution_profiles=profiles, **patience, **options)
    try:
        yield cluster.connect()
    finally:
        cluster.shutdown()
