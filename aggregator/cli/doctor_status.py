"""
Checks of running processes by what their status endpoints say.

Rules that live here: each process is looked at on its own, since one that is stuck does not show in a sum.
"""

from __future__ import annotations

from aggregator.cli.doctor_checks import Checks, finding, ok
from aggregator.cli.failure import USAGE, Failure
from aggregator.cli.stats_endpoint import Endpoint, endpoints
from aggregator.core.records import Stats

OLD_S = 60.0
_STATES = {
    "backing_off": "see to the database, or to the way there: what is pending stays, and is tried again",
    "suspended": "the database refuses the table: sync_table(), a migration, or rights; nothing is lost until then",
    "stopped": "the aggregator was shut down: its process writes each increment directly",
}


def status(url: str) -> Checks:
    """Ask each process behind an address how it is."""
    try:
        for endpoint in endpoints(url):
            yield from _process(endpoint)
    except Failure as failure:
        if failure.code == USAGE:
            raise
        yield finding("status", str(failure), "start the aggregator with status=, and look at its log for a WARNING")


def _process(endpoint: Endpoint) -> Checks:
    stats: Stats = endpoint.read("/stats.json", Stats)
    name, found = endpoint.address, False
    for check in _findings(name, stats):
        found = True
        yield check
    if not found:
        yield ok("status", f"{name}: {stats.state}, {stats.pending:,} pending, {stats.applied:,} applied")


def _findings(name: str, stats: Stats) -> Checks:
    last = f": {stats.last_error}" if stats.last_error else ""
    if stats.state in _STATES:
        yield finding("status", f"{name} is {stats.state.replace('_', ' ')}{last}", _STATES[stats.state])
    elif stats.oldest_pending_s > OLD_S:
        text = f"{name}: something is pending for {stats.oldest_pending_s:,.0f} s"
        yield finding("status", text, "a flusher that runs writes each interval: see `aggregator doctor --journal`")
    if _has_unknown(stats):
        text = f"{name}: {stats.unknown:,} units are of unknown fate"
        yield finding("status", text, "aggregator unknown list, then resolve")
    if stats.dropped:
        text = f"{name}: {stats.dropped:,} units were dropped{last}"
        yield finding("status", text, "aggregator unknown list shows dead letters; with when_full='drop': max_keys")


def _has_unknown(stats: Stats) -> bool:
    """Return whether anything is parked, also where its units cancel out."""
    columns = (column for table in stats.tables.values() for column in table.values())
    return any(column.unknown_positive or column.unknown_negative for column in columns)
