"""
The live page: one self-contained HTML page and the figures it shows.

Rules that live here:

* The page is one file, ``live.html``, and loads nothing but the figures; it works offline.
* Figures are totals and a clock; the page makes rates of two readings, so any number of pages may watch.
* A page that is served by an application of its own (``aggregator demo``) polls: a stream would hold up the end of
  that application's server.
"""

from __future__ import annotations

import os
import time
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec

from aggregator.web.answers import Answer, Receive, Scope, Send, answer, as_json, deliver, said

if TYPE_CHECKING:
    from aggregator.api import Aggregator

HOTTEST = 12

__all__ = ["LivePage", "answer", "figures", "page"]

_POLICY = (
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def page() -> Answer:
    """Return the page."""
    text = resources.files(__package__).joinpath("live.html").read_bytes()
    return Answer(200, b"text/html; charset=utf-8", text, ((b"content-security-policy", _POLICY),))


def figures(aggregator: Aggregator, *, with_keys: bool = True) -> dict[str, Any]:
    """Return every field of ``Stats``, the hottest rows (None: not to be shown), and a clock in seconds."""
    stats = msgspec.structs.asdict(aggregator.stats())
    return stats | {
        "clock_s": time.monotonic(),
        "pid": os.getpid(),
        "hottest": _hottest(aggregator) if with_keys else None,
    }


def _hottest(aggregator: Aggregator) -> list[dict[str, Any]]:
    return [
        {
            "table": hot.table,
            "row": " ".join(str(value) for value in hot.key.values()),
            "increments": hot.increments,
        }
        for hot in aggregator.top(HOTTEST)
    ]


class LivePage:
    """Serve the live page of one aggregator; an ASGI application for GET and HEAD, from one event loop."""

    def __init__(self, aggregator: Aggregator) -> None:
        self._aggregator = aggregator
        self._page = page()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await deliver(send, self._answer(scope["method"], scope["path"]), scope["method"])

    def _answer(self, method: str, path: str) -> Answer:
        if method not in ("GET", "HEAD"):
            return said(405, "GET only", (b"allow", b"GET, HEAD"))
        if path == "/":
            return self._page
        return as_json(figures(self._aggregator)) if path == "/figures.json" else said(404, "not found")
