"""The built site, once for all tests of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.building import build
from tests.integration.processes import ROOT


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the built site."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr
    return folder
