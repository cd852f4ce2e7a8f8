"""A driver of the user's own that knows nothing but ``execute(text, params)`` is flushed through too."""

from __future__ import annotations

from typing import Any

from aggregator import Aggregator
from coodie import drivers
from tests.support.models import PageHits


class TextOnly:
    """What a test double of a user looks like."""

    _default_keyspace = "ks"

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def execute(self, stmt: str, params: Any, **_options: Any) -> list[dict[str, Any]]:
        self.sent.append((stmt, tuple(params)))
        return []


def test_a_text_only_driver_gets_the_coalesced_update() -> None:
    drivers._registry.clear()
    driver = TextOnly()
    drivers.register_driver("default", driver, default=True)
    with Aggregator(flush_interval=None) as aggregator:
        for _ in range(10):
            PageHits(url="/").increment(views=1)
        assert aggregator.flush().applied == 10
    drivers._registry.clear()
    assert driver.sent == [('UPDATE ks.page_hits SET "views" = "views" + ? WHERE "url" = ?', (10, "/"))]
