"""
acsylla's errors about shards that Cassandra does not have, kept out of the log where the server is surely Cassandra.

Rules that live here: each connection to Cassandra logs one, the first before the server has said what it is; so they
are held back while a session is opened, and let go where it may be ScyllaDB or was not opened. Later ones follow what
the last opened session found. No other message is touched. From any thread and loop.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from coodie.drivers import forks

_ABOUT_SHARDS = "Could not retrieve sharding info"


class ShardingNotices(logging.Filter):
    """The filter of the logger, which knows when a session is being opened."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger
        self._lock = threading.Lock()
        self._opening = 0
        self._held: list[logging.LogRecord] = []
        self.wanted = True
        forks.tell(self)

    def after_fork_in_child(self) -> None:
        """Begin anew: who was opening a session did not come along."""
        self._lock = threading.Lock()
        self._opening, self._held = 0, []

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged now."""
        if _ABOUT_SHARDS not in record.getMessage():
            return True
        with self._lock:
            if self._opening:
                self._held.append(record)
            return not self._opening and self.wanted

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold notices back while a session is opened; ``wanted``, set inside, says whether they are logged then."""
        with self._lock:
            self._opening += 1
        try:
            yield
        except BaseException:
            self.wanted = True
            raise
        finally:
            with self._lock:
                self._opening -= 1
                records: list[logging.LogRecord] = []
                if not self._opening:
                    records, self._held = self._held, records
            for record in records:
                self._logger.handle(record)  # comes by the filter once more
