"""The reference leaves out no option, metric, command or public name; the figures of tuning are the planner's."""

from __future__ import annotations

import re
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import aggregator
import coodie
from aggregator.config import Options
from aggregator.metrics.names import METRICS
from coodie import aio, sync
from coodie.batch import AsyncBatchQuery, BatchQuery
from tests.docs import tuning
from tests.docs.test_cli_pages import commands
from tests.integration.processes import ROOT

DOCS = ROOT / "docs"
COMMANDS = DOCS / "reference/commands.md"
REMAKE = f"python -m typer aggregator.cli utils docs --name aggregator --title Commands --output {COMMANDS}"
ITEM = re.compile(r"^\* `([^`]*)`", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
OWNERS = [
    aggregator.Aggregator,
    *(getattr(face, name) for face in (sync, aio) for name in ("Document", "CounterDocument", "QuerySet")),
    BatchQuery,
    AsyncBatchQuery,
]


@pytest.fixture(scope="module")
def documented(site: Path) -> set[str]:
    """Give the dotted paths of what the reference's pages hold."""
    lines = (site / "objects.inv").read_bytes().split(b"\n", 4)
    return {entry.split()[0] for entry in zlib.decompress(lines[4]).decode().splitlines()}


def test_the_table_of_tuning_is_the_planners() -> None:
    assert tuning.table() in (DOCS / "tuning.md").read_text(), f"docs/tuning.md is to say\n{tuning.table()}"


def test_every_option_is_in_the_reference() -> None:
    page = (DOCS / "options.md").read_text()
    assert not [option.name for option in fields(Options) if f"`{option.name}`" not in page]


def test_every_metric_is_in_the_reference() -> None:
    page = (DOCS / "metrics.md").read_text()
    assert not [metric.name for metric in METRICS if f"| `{metric.name}` |" not in page]


def test_the_reference_has_every_command_and_option_and_none_that_is_gone() -> None:
    named = "`aggregator ([^`]+)`"
    sections = re.findall(rf"^##+ {named}\n(.*?)(?=^##|\Z)", COMMANDS.read_text(), re.MULTILINE | re.DOTALL)
    listed = {name: set(OPTION.findall(" ".join(ITEM.findall(text)))) for name, text in sections}
    wanted = {
        " ".join(path): {option for each in command.params for option in each.opts} for path, command in commands()
    }
    groups = {name.split()[0]: set() for name in wanted if " " in name}
    for name, options in (wanted | groups).items():
        expected = {option for option in options if option.startswith("--")} | {"--help"}
        assert listed.pop(name, None) == expected, f"{name}: make {COMMANDS.name} anew by {REMAKE}"
    assert not listed


@pytest.mark.parametrize("package", [aggregator, coodie, sync, aio], ids=lambda package: package.__name__)
def test_every_public_name_is_in_the_reference(package: Any, documented: set[str]) -> None:
    last = {path.rpartition(".")[2] for path in documented}
    for name in set(package.__all__) - {"__version__"}:
        each = getattr(package, name)
        exact = f"{each.__module__}.{name}" if isinstance(each, type) else None
        assert (exact in documented) if exact else (name in last), name
    assert "`coodie.__version__`" in (DOCS / "reference/coodie.md").read_text()


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: f"{owner.__module__}.{owner.__name__}")
def test_every_public_method_is_in_the_reference(owner: type[Any], documented: set[str]) -> None:
    ours = [kind for kind in owner.__mro__ if kind.__module__.startswith(("coodie", "aggregator"))]
    names = {name for kind in ours for name in vars(kind) if name[0] != "_" and callable(getattr(kind, name))}
    missing = {name for name in names if f"{owner.__module__}.{owner.__name__}.{name}" not in documented}
    assert not missing
