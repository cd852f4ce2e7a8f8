"""
The part of ``aggregator journal recover`` that writes what workers left to a host's agent.

Rules that live here: it is an agent, for as long as there is something to be written; where one runs, that one writes.
"""

from __future__ import annotations

from collections.abc import Iterator

from aggregator.agent.agent import Agent
from aggregator.cli.terminal import say
from aggregator.journal.directory import Directory
from aggregator.journal.inspection import SlotContent, inspect_all

TRIES = 3
"""Flushes: what found no room in a worker is placed by the first one, and written by the next."""


def recover_workers(directory: Directory) -> Iterator[str]:
    """Write what an agent and its workers left; yield a line for each thing that remains."""
    if any(slot.alive for slot in _of_agent(directory) if slot.place.startswith("agent/")):
        say("agent: a live one writes what workers leave")
        return
    if not any(_left(slot) for slot in _of_agent(directory)):
        return
    errors: list[str] = []
    with Agent(journal=directory.path, flush_interval=None, status=None) as agent:
        for _ in range(TRIES):
            errors = agent.flush().errors
        applied = agent.stats().applied
    say(f"agent: {applied:,} units written")
    for slot in _of_agent(directory):
        if _left(slot):
            why = "; ".join(errors) or "its owner lives, or it waits: see aggregator journal inspect"
            yield f"{slot.place}: {_left(slot):,} rows are not written, and stay in the journal: {why}"


def _of_agent(directory: Directory) -> list[SlotContent]:
    return [slot for slot in inspect_all(directory) if "/" in slot.place]


def _left(slot: SlotContent) -> int:
    return sum(table.rows_pending + len(table.unknown) + len(table.rejected) for table in slot.tables)
