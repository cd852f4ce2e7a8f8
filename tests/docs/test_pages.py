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


PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


def run(program: str, folder: Path) -> list[str]:
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=folder)
    return done.stdout.splitlines()


def test_the_readme_program_runs_and_prints_what_it_says(tmp_path: Path) -> None:
    flushed, views = run(PROGRAMS[0], tmp_path)
    assert flushed.startswith("FlushResult(applied=10000,")
    assert "rows=1, statements=1" in flushed
    assert views == "10000"


def test_the_readme_program_with_a_journal_counts_on_where_it_stopped(tmp_path: Path) -> None:
    before = PROGRAMS[0].partition("class PageHits")[0] + 'init_coodie(driver_type="sqlite", database="votes.db")\n'
    program = f'{before}{PROGRAMS[1]}print(Votes.get(post="hello").up)'
    program = program.replace("/var/lib/my_app/journal", str(tmp_path / "journal"))
    assert [run(program, tmp_path) for _ in range(2)] == [["1"], ["2"]]


def test_every_option_is_documented_with_its_default() -> None:
    page = (ROOT / "docs/options.md").read_text()
    later = {"on_flush", "on_error"}
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
