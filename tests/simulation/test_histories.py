"""Histories from seeds: nothing is lost, nothing is counted twice."""

from __future__ import annotations

from tests.simulation.ending import play
from tests.simulation.patches import Theatre


def test_every_history_ends_with_what_was_counted(theatre: Theatre, block: range) -> None:
    for seed in block:
        play(theatre, seed)
