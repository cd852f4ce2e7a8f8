"""Loads the fixtures every test may ask for, and lets none leave its writer to the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aggregator.afterwards import Afterwards
from coodie import counters

pytest_plugins = ["tests.support.plugin"]


@pytest.fixture(autouse=True)
def no_writer_left() -> Iterator[None]:
    """Close the sink that stays after ``shutdown()`` of an aggregator that counted in exact tables."""
    yield
    if isinstance(counters.sink, Afterwards):
        counters.sink.close()
