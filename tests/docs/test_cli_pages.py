"""The pages of the command line: every command and option is there, every example runs, figures are the planner's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from aggregator.cli import app, main
from tests.docs import capacity
from tests.integration.processes import ROOT
from tests.integration.test_cli_status import counting

CLI, CAPACITY = (ROOT / "docs" / name for name in ("cli.md", "capacity.md"))
EXAMPLES = [
    line for block in re.findall(r"```sh\n(.*?)```", CLI.read_text(), flags=re.DOTALL) for line in block.splitlines()
]
OURS = ("stats", "top", "unknown", "doctor", "plan")
SHOP = """
from typing import Annotated
from coodie.fields import Counter, PrimaryKey
from coodie.sync import CounterDocument

class PageHits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]

    class Settings:
        name = "hits"
"""


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, each in (group or typer.main.get_command(app)).commands.items():
        if hasattr(each, "commands"):
            yield from commands(each, (*path, name))
        else:
            yield (*path, name), each


def test_every_command_is_on_the_page() -> None:
    page = CLI.read_text()
    for path, _ in commands():
        assert re.search(rf"`(aggregator )?{' '.join(path)}[ `]", page), path


def test_every_option_of_the_commands_that_look_is_on_the_page() -> None:
    page = CLI.read_text()
    for path, command in commands():
        if path[0] in OURS:
            for option in (each for each in command.params if each.param_type_name == "option"):
                assert any(re.search(rf"{name}\b", page) for name in option.opts), (path, option.opts)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_runs(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text(SHOP)
    places = {"/run/shop": str(tmp_path), "/var/lib/shop": str(tmp_path)}
    for named, real in places.items():
        example = example.replace(named, real)
    arguments = shlex.split(example)[1:]
    with (
        counting(tmp_path, str(tmp_path / "status-{pid}.sock"), journal=str(tmp_path / "journal")),
        pytest.raises(SystemExit) as end,
    ):
        main(arguments)
    output, errors = capsys.readouterr()
    assert output
    assert (end.value.code, errors) == (0, "") or arguments[0] == "doctor", errors


def test_the_tables_of_the_capacity_page_are_the_planners() -> None:
    page = CAPACITY.read_text()
    for table in (capacity.by_rate(), capacity.by_keys()):
        assert table in page, f"docs/capacity.md is to say\n{table}"


def test_what_the_capacity_page_says_of_the_assumptions_is_so() -> None:
    page = CAPACITY.read_text()
    from aggregator.planning.plan import ROW_BYTES, WRITE_RATE

    assert f"{ROW_BYTES} bytes a row" in page
    assert f"{WRITE_RATE:,} rows a second that one process can write" in page
