"""Each check finds the fault that is planted for it, and leaves its neighbour alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tidy import budgets, habits, rooms
from tests.tidy.source import Import, Module, imports

KNOWN = frozenset({"coodie", "coodie.counters", "coodie.cql", "coodie.sync", "coodie.sync.document", "coodie.drivers"})
INITS = frozenset({"coodie", "coodie.cql", "coodie.sync", "coodie.drivers"})


def module(path: str, text: str) -> Module:
    return Module(Path(path), text)


def found(path: str, text: str) -> list[str]:
    return rooms.faults(imports(module(path, text), KNOWN), INITS)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("coodie/sync/document.py", "from coodie.aio.document import Document"),
        ("coodie/aio/query.py", "import coodie.sync"),
        ("coodie/sync/document.py", "from ..aio import document"),
        ("coodie/sync/document.py", "def get():\n    from coodie.aio import document"),
        ("coodie/statement.py", "from coodie.exceptions import CoodieError"),
        ("coodie/exceptions.py", "from coodie.statement import Statement"),
        ("coodie/schema.py", "from coodie import counters"),
        ("coodie/cql/where.py", "from coodie.plans.queries import select"),
        ("coodie/run.py", "from coodie.drivers.registry import get_driver"),
        ("coodie/plans/tables.py", "import aggregator"),
        ("aggregator/core/totals.py", "from coodie.exceptions import CoodieError"),
        ("aggregator/core/totals.py", "from aggregator.config import Options"),
        ("aggregator/flusher/engine.py", "from aggregator.api import Aggregator"),
        ("aggregator/integrations/asgi.py", "from aggregator.core.totals import Totals"),
        ("coodie/run.py", "from cassandra.cluster import Cluster"),
        ("coodie/drivers/cassandra/driver.py", "import acsylla"),
        ("coodie/drivers/opening.py", "from coodie.drivers.cassandra import CassandraDriver"),
        ("aggregator/integrations/asgi.py", "import starlette"),
        ("aggregator/api.py", "from prometheus_client import Counter"),
        ("aggregator/api.py", "import pydantic"),
        ("coodie/run.py", "import requests"),
    ],
)
def test_a_forbidden_import_is_found(path: str, text: str) -> None:
    assert len(found(path, text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "coodie/sync/document.py",
            "from coodie import counters\nfrom coodie.exceptions import CoodieError\nimport time",
        ),
        (
            "coodie/values.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from coodie.schema import Column",
        ),
        ("coodie/drivers/cassandra/driver.py", "from cassandra.cluster import Cluster"),
        ("coodie/drivers/opening.py", "def opened():\n    from coodie.drivers.cassandra import CassandraDriver"),
        ("coodie/drivers/__init__.py", "def __getattr__(name):\n    from coodie import connections"),
        ("aggregator/integrations/starlette.py", "import starlette.types"),
        ("aggregator/core/totals.py", "from aggregator.exceptions import BufferFullError"),
        ("aggregator/intake.py", "from aggregator.bulk import merge"),
    ],
)
def test_an_allowed_import_is_left_alone(path: str, text: str) -> None:
    assert found(path, text) == []


def test_an_import_counts_against_the_module_it_names() -> None:
    text = "from coodie import counters, CoodieError\nfrom . import document"
    names = [each.imported for each in imports(module("coodie/sync/query.py", text), KNOWN)]
    assert names == ["coodie", "coodie.counters", "coodie.sync.document"]


def test_a_widening_that_nothing_needs_is_found() -> None:
    needed = Import("coodie.run", "coodie.statement", local=False, line=1)
    assert ("coodie.run", "coodie.statement") not in rooms.unused([needed])
    assert ("coodie.run", "coodie.statement") in rooms.unused([])


def test_a_circle_is_found_though_an_import_in_it_is_local() -> None:
    there, on, back = (("a", "b", False), ("b", "c", False), ("c", "a", True))
    circle = [Import(importer, imported, local, 1) for importer, imported, local in (there, on, back)]
    assert "a and b import each other" in list(rooms.cycles(circle, frozenset()))
    assert list(rooms.cycles(circle[:2], frozenset())) == []
    assert list(rooms.cycles(circle, frozenset({"c"}))) == [], "a package binds its names late"


@pytest.mark.parametrize(
    ("path", "lines", "over"),
    [
        ("coodie/model.py", 300, False),
        ("coodie/model.py", 301, True),
        ("coodie/sync/document.py", 221, True),
        ("aggregator/integrations/asgi.py", 81, True),
    ],
)
def test_a_long_file_is_found(path: str, lines: int, *, over: bool) -> None:
    assert bool(list(budgets.faults(module(path, "pass\n" * lines)))) is over


def test_a_long_function_is_found_and_its_docstring_not_counted() -> None:
    docstring = '    """\n' + "    word\n" * 30 + '    """\n'
    short = "def act():\n" + docstring + "    pass\n" * 39
    assert list(budgets.faults(module("coodie/run.py", short))) == []
    ((name, text),) = budgets.faults(module("coodie/run.py", short + "    pass\n"))
    assert name == "coodie.run:act"
    assert "41 lines" in text


def test_a_wide_class_is_found_and_its_private_methods_not_counted() -> None:
    public = [f"    def act_{number}(self): ...\n" for number in range(16)]
    private = [f"    def _act_{number}(self): ...\n" for number in range(9)]
    narrow = "class Wide:\n" + "".join(public[:15] + private)
    assert list(budgets.faults(module("coodie/run.py", narrow))) == []
    assert [name for name, _ in budgets.faults(module("coodie/run.py", narrow + public[15]))] == ["coodie.run:Wide"]


@pytest.mark.parametrize("path", ["coodie/utils.py", "coodie/helpers/x.py", "tests/base.py", "coodie/_common.py"])
def test_a_name_that_says_nothing_is_found(path: str) -> None:
    assert list(habits.nameless(Path(path)))


@pytest.mark.parametrize("path", ["coodie/basement.py", "docs/base.md", "coodie/manage.py"])
def test_a_name_that_says_something_is_left_alone(path: str) -> None:
    assert list(habits.nameless(Path(path))) == []


def test_a_module_without_docstring_is_found() -> None:
    assert list(habits.undocumented(module("x.py", "import os\n")))
    assert list(habits.undocumented(module("x.py", '"""Says what it is."""\n'))) == []


@pytest.mark.parametrize("body", ["pass", "...", "'never mind'"])
def test_a_silent_handler_is_found(body: str) -> None:
    assert list(habits.silent(module("x.py", f"try:\n    act()\nexcept OSError:\n    {body}\n")))


def test_a_handler_that_does_something_is_left_alone() -> None:
    assert list(habits.silent(module("x.py", "try:\n    act()\nexcept OSError:\n    tell()\n"))) == []


@pytest.mark.parametrize(
    "text", ["import time", "from threading import Lock", "import asyncio.events", "random.random()"]
)
def test_a_banned_word_in_the_core_is_found(text: str) -> None:
    assert list(habits.impure(module("aggregator/core/x.py", text)))


def test_a_word_that_only_contains_a_banned_one_is_left_alone() -> None:
    assert list(habits.impure(module("aggregator/core/x.py", "run_time = self.time"))) == []


@pytest.mark.parametrize("path", ["work/main", "root/.cache", "home/ada/x"])
def test_a_path_of_one_machine_is_found(path: str) -> None:
    assert list(habits.machine_paths(Path("x.md"), f"see `/{path}`"))


@pytest.mark.parametrize("text", ['url="/home"', "/homework/", "/home/ada", "https://example.org/work/", "a/root/b"])
def test_other_paths_are_left_alone(text: str) -> None:
    assert list(habits.machine_paths(Path("x.md"), text)) == []


def test_a_leftover_is_found() -> None:
    assert list(habits.leftovers(Path("x.py"), "# TO" + "DO: later"))
    assert list(habits.leftovers(Path("x.py"), "# mastodon")) == []


@pytest.mark.parametrize(
    "waiver", ["type: ignore", "type: ignore[misc]", "no" + "qa", "no" + "qa: S105", "no" + "qa: S105 -"]
)
def test_a_silenced_checker_without_a_reason_is_found(waiver: str) -> None:
    assert len(list(habits.unexplained(Path("x.py"), f"a = 1  # {waiver}\nb = 2"))) == 1


@pytest.mark.parametrize(
    "waiver", ["type: ignore[misc, arg-type]  # why", "no" + "qa: S105, B018 - why", "to type: ignorance"]
)
def test_a_silenced_checker_with_a_reason_is_accepted(waiver: str) -> None:
    assert list(habits.unexplained(Path("x.py"), f"a = 1  # {waiver}")) == []
