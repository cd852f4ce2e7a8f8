"""
Capacity planning: what a deployment will write, hold and may lose, by a simulated stream of keys.

Rules that live here: pure; the same question gives the same answer, since chance is seeded. What is assumed of the
flusher is what ``aggregator.flusher.background`` does; the tests hold it against measured runs.
"""

from __future__ import annotations

from aggregator.planning.plan import Plan, Question, plan

__all__ = ["Plan", "Question", "plan"]
