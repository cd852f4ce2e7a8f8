"""A journal's directory, and its first slot, leased."""

from __future__ import annotations

import pytest

from aggregator.journal.directory import open_directory


@pytest.fixture
def directory(tmp_path):
    return open_directory(tmp_path / "journal")


@pytest.fixture
def lease(directory):
    lease = directory.free_slot()
    yield lease
    lease.close()
