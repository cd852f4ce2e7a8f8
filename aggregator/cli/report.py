"""
What ``aggregator replay`` says at its end: a table or one JSON object, then a line for each thing that went wrong.

Rules that live here: the keys of the JSON object are the contract's; ``verified`` is null where it was not asked for.
Whatever was not stored, read or reached is said, and makes the exit code 1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from aggregator.cli.counting import Tally
from aggregator.cli.failure import NOT_STORED, Failure, in_one_line
from aggregator.cli.terminal import complain, say, show_table
from aggregator.core.records import Stats

_DIFFERENCES_SHOWN = 3
_KEY_WIDTH_MAX = 60


@dataclass
class Report:
    """The outcome of one run; ``elapsed`` in seconds."""

    tally: Tally
    stats: Stats
    elapsed: float
    is_interrupted: bool = False
    is_verified: bool | None = None
    differences: dict[str, tuple[int, int]] | None = None
    faults: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, object]:
        """Return the figures by the names of the contract."""
        return {
            "hits": self.tally.hits,
            "bad_lines": self.tally.bad_lines,
            "keys": len(self.tally.urls),
            "applied": self.stats.applied,
            "unknown": self.stats.unknown,
            "dropped": self.stats.dropped,
            "statements": self.stats.statements,
            "flushes": self.stats.flushes,
            "elapsed": round(self.elapsed, 3),
            "verified": self.is_verified,
        }

    def print(self, store: str, table: str, *, as_json: bool) -> None:
        """Write the summary to standard output."""
        if as_json:
            say(json.dumps(self.figures()))
            return
        verified = {None: "not asked for (--verify)", True: "yes, url by url", False: "NO"}[self.is_verified]
        figures = self.figures() | {"elapsed": f"{self.elapsed:.2f} s", "verified": verified}
        rows = [(name.replace("_", " "), value) for name, value in figures.items()]
        rows.insert(8, ("hits per statement", f"{self.stats.coalescing:,.1f}"))
        show_table("aggregator replay", [("store", store), ("table", table), *rows])

    def raise_failures(self) -> None:
        """Write a line for each thing that went wrong; raise ``Failure`` with the last of them if there is any."""
        failures = list(self._failures())
        for line in failures[:-1]:
            complain(line)
        if failures:
            raise Failure(failures[-1], NOT_STORED)

    def _failures(self) -> list[str]:
        stats = self.stats
        failures = list(self.faults)
        if self.tally.error is not None:
            failures.append(f"counting stopped: {in_one_line(self.tally.error)}")
        if self.is_interrupted:
            failures.append("interrupted; what was counted until then was stored, the rest of the logs was not read")
        elif not self.tally.urls and self.tally.error is None:
            failures.append("no line of the input holds a request in the common or combined format")
        last = f"; last error: {stats.last_error}" if stats.last_error else ""
        if pending := stats.pending + stats.in_flight:
            failures.append(f"{pending:,} hits were not stored{last}")
        if stats.unknown:
            failures.append(f"{stats.unknown:,} hits may or may not have been stored{last}")
        if stats.dropped:
            failures.append(f"{stats.dropped:,} hits were refused{last}")
        return failures + self._mismatches()

    def _mismatches(self) -> list[str]:
        different = list((self.differences or {}).items())
        lines = [
            f"verify: {url[:_KEY_WIDTH_MAX]!r} gained {gained:,}, counted {counted:,}"
            for url, (gained, counted) in different[:_DIFFERENCES_SHOWN]
        ]
        return [*lines, f"verify: {len(different)} urls differ"] if lines else []
