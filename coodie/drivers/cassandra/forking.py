"""
Leaving a parent's session of cassandra-driver alone in a forked child.

Rules that live here: left to itself the client would, at the child's next connection or at its end, close the parent's
connections there: under locks that a vanished thread may hold, and telling the requests that were in flight in the
parent, whose callbacks would then run in the child. So the child forgets its parent's event loop and clusters first.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from cassandra import cluster as client

from coodie.drivers.forks import keep


def abandon(session: Any) -> None:
    """Leave a session that the parent opened alone for ever. In a child, before anything else is done there."""
    cluster = session.cluster
    keep(session, cluster)
    getattr(client, "_clusters_for_shutdown", set()).discard(cluster)
    _abandon_event_loop(cluster.connection_class)


def _abandon_event_loop(kind: Any) -> None:
    """Have the client make a new event loop at its next connection of a kind, and never touch the parent's."""
    reactor = vars(sys.modules[kind.__module__])
    loop = reactor.get("_global_loop")
    if loop is not None and loop._pid != os.getpid():  # over libev, or asyncore
        keep(loop)
        reactor["_global_loop"] = None
        if "_dispatcher_map" in reactor:
            keep(reactor["_dispatcher_map"])
            reactor["_dispatcher_map"] = {}
    if getattr(kind, "_loop", None) is not None and kind._pid != os.getpid():  # over asyncio
        keep(kind._loop, kind._loop_thread)
        kind._loop, kind._loop_thread, kind._lock, kind._pid = None, None, threading.Lock(), os.getpid()
