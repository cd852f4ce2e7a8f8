"""How many histories are played, and which: ``--seeds N`` or ``--seed S`` (declared in ``tests/support/plugin.py``)."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from coodie import drivers
from tests.simulation.patches import Theatre, installed

BLOCK = 1000


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "block" in metafunc.fixturenames:
        seed, count = metafunc.config.getoption("--seed"), metafunc.config.getoption("--seeds")
        starts = range(0, count, BLOCK)
        blocks = (
            [range(start, min(start + BLOCK, count)) for start in starts] if seed is None else [range(seed, seed + 1)]
        )
        metafunc.parametrize("block", blocks, ids=[f"{block.start}-{block.stop - 1}" for block in blocks])


@pytest.fixture
def theatre(monkeypatch: pytest.MonkeyPatch) -> Iterator[Theatre]:
    logging.disable()  # what goes wrong is meant to
    yield installed(monkeypatch)
    logging.disable(logging.NOTSET)
    drivers._registry.clear()
