"""The nursery of the run, and how often the tests of this folder kill."""

from __future__ import annotations

import pytest

from tests.processes.nursery import open_nursery


@pytest.fixture(scope="session")
def nursery(tmp_path_factory):
    with open_nursery(tmp_path_factory.mktemp("nursery")) as nursery:
        yield nursery


@pytest.fixture
def rounds(pytestconfig):
    """Give the number of rounds a test makes: its own, or that of ``--rounds``."""
    return lambda usual: pytestconfig.getoption("rounds") or usual
