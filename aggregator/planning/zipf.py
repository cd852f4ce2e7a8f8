"""
Popularity of keys by Zipf's law: of K keys, the one of rank k is hit in proportion to k ** -s.

Rules that live here: the first ``HEAD`` ranks are known one by one, the ranks behind them as a curve, whose integral
differs from the sum by less than one part in a million; so any number of keys costs the same.
"""

from __future__ import annotations

import math

HEAD = 2_000


class Zipf:
    """The popularity of ``keys`` keys with exponent ``s`` (0: all alike)."""

    def __init__(self, keys: int, s: float) -> None:
        self._s = s
        head = [rank**-s for rank in range(1, min(keys, HEAD) + 1)]
        self._first = len(head) + 0.5  # where the curve takes over: in the middle between two ranks
        self._last = keys + 0.5
        tail = self._integral(self._last) - self._integral(self._first)
        total = math.fsum(head) + tail
        self.head = [weight / total for weight in head]
        self.tail = tail / total

    def _integral(self, x: float) -> float:
        return math.log(x) if self._s == 1 else float(x ** (1 - self._s) / (1 - self._s))

    def tail_rank(self, chance: float) -> float:
        """Return the rank of a hit behind the head, as a point of the curve; ``chance`` in [0, 1)."""
        if self._s == 1:
            return float(self._first * (self._last / self._first) ** chance)
        power = 1 - self._s
        low, high = self._first**power, self._last**power
        return float((low + chance * (high - low)) ** (1 / power))
