"""
A real Cassandra for the tests, from the command line too: ``python -m tests.support.cassandra --nodes 1``.

Rules that live here:

* ``obtain()`` chooses, in this order: ``COODIE_TEST_HOSTS`` (with ``COODIE_TEST_PORT``), Docker, Java 17 with Maven.
* ``Cluster`` is always the third way, for tests that pause, kill or restart nodes.
* Nothing outlives the tests: every node is killed by its process id, by us or, should we crash, by the watchdog.
"""

from __future__ import annotations

from tests.support.cassandra.choice import Server, obtain
from tests.support.cassandra.cluster import Cluster
from tests.support.cassandra.errors import NotAvailable
from tests.support.cassandra.node import Node

__all__ = ["Cluster", "Node", "NotAvailable", "Server", "obtain"]
