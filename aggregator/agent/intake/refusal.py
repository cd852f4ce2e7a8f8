"""
What a client is told when its request is not taken.

Rules that live here: a refusal is a status and a sentence that says what was wrong and what is allowed; nothing of a
refused request was counted. 4xx: sending the same again does not help; 429 and 503: it does, later, with the same
sequence.
"""

from __future__ import annotations


class Refusal(Exception):
    """A request that is not taken; ``str()`` is what the client reads."""

    def __init__(self, status: int, why: str, retry_after_s: int | None = None) -> None:
        super().__init__(f"{why}; nothing was counted")
        self.status = status
        self.retry_after_s = retry_after_s
