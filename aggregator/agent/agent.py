"""
Agent: the aggregator of a whole host, fed by its workers' journals.

Rules that live here:

* It is an aggregator like any other: its buffer, flusher, ``stats()``, ``unknown()`` and status endpoint are those of a
  process that counts itself, which it may do too. Only its flush gathers first.
* Its slot is its own, ``agent/slot-0000`` in the journal's directory: no other process recovers it, since only an agent
  can tell the sources what its log says of them. Whoever holds its lease is the agent; there is one.
* A thread hears the bell that workers ring when somebody waits.
"""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from aggregator.agent.gathering import Gathering
from aggregator.agent.tables import Tables
from aggregator.agent.workers import Workers
from aggregator.api import Aggregator
from aggregator.exceptions import JournalError, LifecycleError
from aggregator.journal.bell import AGENT, Bell
from aggregator.journal.directory import WORKERS, Directory, open_directory
from aggregator.journal.reading import read_slot
from aggregator.keeping import Keeping, opened
from aggregator.machine import Machine, now_us
from coodie.exceptions import ConfigurationError

if TYPE_CHECKING:
    from aggregator.agent.source import Source, Target
    from aggregator.config import Options

PAUSE_S = 0.02
"""Between two flushes that workers rang for, so that those who ring meanwhile share one."""


class AgentMachine(Machine):
    """The parts of a running agent."""

    engine: Gathering

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        assert self.keeping is not None
        self.tables = Tables(self.buffer)
        try:
            directory = open_directory(options.journal or "")
            workers = Workers(directory.within(WORKERS), options, self.tables)
            self.bell = Bell(self.keeping.directory.path)
        except BaseException:
            self.keeping.close(is_clean=False)
            raise
        self.engine.gather_from(workers, self.tables, self.keeping.journal)
        self._is_over = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="aggregator-bell", daemon=True)
        self._listener.start()

    def _open_slot(self, options: Options) -> Keeping:
        directory = open_directory(options.journal or "").within(AGENT)
        while True:
            directory.make(0)
            lease = directory.lease(0)
            if lease is None:
                raise JournalError(
                    f"another agent runs on the journal {options.journal}{_owner(directory)}: one per host and journal "
                    "writes for all workers; nothing was started"
                )
            keeping = opened(directory, lease, options)
            if keeping is not None:
                return keeping

    def _engine(self, options: Options) -> Gathering:
        return Gathering(self.buffer, options, self.clock, now_us, random.random)

    def _listen(self) -> None:
        while not self._is_over.is_set():
            self.bell.wait()
            if not self._is_over.is_set():
                with suppress(Exception):  # a flush that failed was told of by the flusher
                    self.background.ask(patient=True).result(self.engine.options.flush_timeout)
                self._is_over.wait(PAUSE_S)

    def stop_listening(self) -> None:
        """Hear no bell any more."""
        self._is_over.set()
        self.bell.ring()
        self._listener.join()

    def close(self) -> None:
        self.stop_listening()
        self.bell.close()
        self.engine.workers.close()
        super().close()


class Agent(Aggregator):
    """
    Move what the workers of a journal counted, merge it, and write it; see ``Aggregator`` for options and methods.

    ``journal`` is needed. ``flush_interval`` is the time between two rounds. ``max_keys`` bounds the agent's own rows:
    where they are all pending, the rest waits with the workers.
    """

    _machine_type: ClassVar[type[Machine]] = AgentMachine

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "mode": "buffered"})
        if self.options.journal is None:
            raise ConfigurationError("an agent with journal=None has no workers; journal=DIRECTORY is needed")

    def add(self, source: Source) -> None:
        """Gather from one more source, after ``start()``; it is asked in each round from now on."""
        self._parts("add()").engine.sources.append(source)

    def claim(self, target: Target) -> None:
        """
        Make a source's table the agent's own, before anything is counted in it.

        Raises:
            ConfigurationError: the agent has a table of this name in another shape, or no such connection.
            InvalidQueryError: no keyspace is named.
        """
        self._parts("claim()").tables.held(target)

    def is_making_rounds(self) -> bool:
        """Return whether the flusher lives, and began its last round not long ago: one may last ``flush_timeout``."""
        parts = self._parts("is_making_rounds()")
        late = (self.options.flush_interval or 0.0) * (1 + self.options.flush_jitter) + 2 * self.options.flush_timeout
        return parts.background.is_alive() and parts.clock() - parts.engine.began_at < late

    def _parts(self, call: str) -> AgentMachine:
        if not isinstance(self._machine, AgentMachine):
            raise LifecycleError(f"{call} before start(): start the agent first")
        return self._machine


def _owner(directory: Directory) -> str:
    try:
        return f" (process {read_slot(directory.folder(0)).written_by.pid})"
    except JournalError:
        return ""
