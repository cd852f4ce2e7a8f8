"""The README's program runs as it stands, and the pages name what the code has."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from aggregator.config import Options

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^]]*\]\(([^)#]+)\)")


def test_the_readme_program_runs_and_prints_what_it_says(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=tmp_path,
    )
    flushed, views = done.stdout.splitlines()
    assert flushed.startswith("FlushResult(applied=10000,")
    assert "rows=1, statements=1" in flushed
    assert views == "10000"


def test_every_option_is_documented_with_its_default() -> None:
    page = (ROOT / "docs/options.md").read_text()
    later = {"journal", "durability", "journal_sync_interval", "status", "on_flush", "on_error"}
    for option in fields(Options):
        if option.name in later:
            assert f"`{option.name}`" in page
        else:
            default = f'"{option.default}"' if isinstance(option.default, str) else str(option.default)
            assert f"| `{option.name}` | `{default}` |" in page


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md"], ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target
