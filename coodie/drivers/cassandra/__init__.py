"""The driver over cassandra-driver and scylla-driver, two packages with one client API; neither is imported before."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("cassandra") is None:
    raise ImportError(
        "coodie.drivers.cassandra needs the package cassandra-driver (pip install cassandra-driver) "
        "or scylla-driver (pip install scylla-driver)",
        name="cassandra-driver",
    )

from coodie.drivers.cassandra.driver import CassandraDriver

__all__ = ["CassandraDriver"]
