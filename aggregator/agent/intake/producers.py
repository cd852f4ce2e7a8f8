"""
Who sent which sequence last: what makes a repeated request count once.

Rules that live here:

* A producer belongs to whoever sends in its name (a user of the machine, or the holders of the token): nobody else can
  use up its sequences.
* At most :data:`PRODUCERS` are remembered. Beyond that the one that has been silent longest is forgotten, if it was
  silent for a day; where none was, a new one is refused. What a forgotten one repeats is counted again.
* Called under the intake's lock.
"""

from __future__ import annotations

from collections.abc import Iterator

from aggregator.agent.intake.refusal import Refusal

PRODUCERS = 10_000
SILENCE_S = 86_400.0

_PIECE = 5_000


class Producers:
    """The last sequence of each producer, the one that was silent longest first."""

    def __init__(self, most: int = PRODUCERS) -> None:
        self._most = most
        self._last: dict[str, tuple[int, float]] = {}  # in the order of the last request

    def __len__(self) -> int:
        return len(self._last)

    def last(self, producer: str) -> int:
        """Return the last sequence that was accepted; 0 of one that is not known."""
        return self._last.get(producer, (0, 0.0))[0]

    def make_room(self, producer: str, now: float) -> None:
        """Make room for a producer; 429 where it is new and there is none. ``now``: seconds since 1970."""
        if producer in self._last or len(self._last) < self._most:
            return
        silent = next(iter(self._last))
        if now - self._last[silent][1] < SILENCE_S:
            raise Refusal(429, f"{self._most:,} producers are remembered already, all of them heard within a day", 3600)
        del self._last[silent]

    def note(self, producer: str, sequence: int, now: float) -> None:
        """Remember a sequence that was accepted; an older one than the last changes nothing."""
        if sequence > self.last(producer):
            self._last.pop(producer, None)
            self._last[producer] = (sequence, now)

    def pieces(self) -> Iterator[dict[str, tuple[int, float]]]:
        """Yield all there is to remember, in pieces that fit a record."""
        items = list(self._last.items())
        for start in range(0, len(items), _PIECE):
            yield dict(items[start : start + _PIECE])
