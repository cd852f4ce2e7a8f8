"""
The "flusher" of a worker that only journals (``mode="agent"``): it writes to no database, it asks the host's agent.

Rules that live here:

* What is accepted is in the journal, and the agent takes it from there whether it is asked or not. So a periodic flush
  has nothing to do, and a shutdown waits for nobody.
* Somebody who waits (``flush()``, an increment without room) rings the agent's bell and is answered when all that was
  there before has had a flush. What the database did not take of it remains.
* No agent is no error: one WARNING says so, and the rows wait.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregator.config import MAX_KEYS_LIMIT
from aggregator.core.records import FlushResult
from aggregator.exceptions import JournalError
from aggregator.flusher.engine import Engine
from aggregator.journal import bell
from aggregator.journal.turn import ANSWERED, ASKED, SEEN

if TYPE_CHECKING:
    from aggregator.config import Options
    from aggregator.core.buffer import Buffer
    from aggregator.journal.turn import Turn

log = logging.getLogger("aggregator")

MISSED_S = 10.0
"""An agent that has not been seen for so long is told of."""

MARGIN_S = 0.1
"""So long before whoever waits gives up, no answer is the answer."""

_POLL_S = 0.002
_RING_S = 0.25


class Handing(Engine):
    """Stand where the engine of other modes stands. On the flusher's thread, one call at a time."""

    def __init__(self, buffer: Buffer, options: Options, turn: Turn, *seams: Any) -> None:
        # Dirty rows make no flush due here: they are the agent's to count.
        super().__init__(buffer, replace(options, max_batch_size=MAX_KEYS_LIMIT), *seams)
        self._journal = Path(options.journal or "")
        self._turn = turn
        self._since = time.time()
        self._has_warned = False

    def flush(self, *, asked: bool, timeout: float) -> FlushResult:
        """Ask the agent for a flush and wait for it ``timeout`` seconds, where somebody waits; see the rules."""
        began = self._clock()
        self.raised = []
        errors: list[str] = []
        before = self._applied() if asked else 0
        try:
            self.after()
        except JournalError as error:
            self.raised, self.last_error = [error], f"JournalError: {error}"
            errors.append(self.last_error)
        if not self.buffer.closed and (asked or self._is_full()):
            errors += self._answered(began + timeout - min(MARGIN_S, timeout / 2))
        is_clean = not self.buffer.dirty_rows(1)
        self._note_agent(is_clean=is_clean)
        if is_clean:
            self.clean_at = began
        if not asked:  # nobody reads what came of it
            return FlushResult(elapsed=self._clock() - began, errors=errors)
        remaining = self._remaining()
        return FlushResult(
            applied=self._applied() - before, remaining=remaining, elapsed=self._clock() - began, errors=errors
        )

    def _is_full(self) -> bool:
        with self.buffer.opened():
            return not self.buffer.has_room()

    def _answered(self, until: float) -> list[str]:
        """Ask and wait; return why there was no answer."""
        number: int | None = None
        next_ring = 0.0
        while True:
            number = self._asked() if number is None else number
            now = self._clock()
            if number is not None:
                if self._turn.words[ANSWERED] >= number:
                    return []
                if now >= next_ring:  # again and again: an agent may have started since
                    bell.ring(self._journal)
                    next_ring = now + _RING_S
            if now >= until:
                return ["the host's agent gave no answer in time; what is pending stays in the journal"]
            time.sleep(min(_POLL_S, until - now))

    def _asked(self) -> int | None:
        """Note that a flush is asked for, of all that was stored before; None: the agent is busy with this slot."""
        with self.buffer.lock, self._turn.taken() as is_ours:
            if is_ours:
                self._turn.words[ASKED] += 1
            return self._turn.words[ASKED] if is_ours else None

    def _note_agent(self, *, is_clean: bool) -> None:
        """Say once, where rows wait, that there is no agent."""
        missed = time.time() - max(self._since, self._turn.words[SEEN] / 1e6)
        if missed < MISSED_S:
            self._has_warned = False
        elif not self._has_warned and not is_clean:
            self._has_warned = True
            log.warning(
                "no agent has been seen at the journal %s for %.0f s: what is counted waits there; start "
                "`aggregator agent --journal %s`",
                self._journal,
                missed,
                self._journal,
            )

    # --- the account ------------------------------------------------------------------------------------------

    def _applied(self) -> int:
        with self.buffer.opened():
            return sum(held.account(name).applied for held in self.buffer.tables.values() for name in held.units)

    def _remaining(self) -> int:
        with self.buffer.opened():
            accounts = [held.account(name) for held in self.buffer.tables.values() for name in held.units]
        return sum(account.pending + account.in_flight for account in accounts)
