"""The project keeps its rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.tidy import budgets, habits, rooms
from tests.tidy.source import ROOT, Import, files, imports, modules

PACKAGES = modules("coodie", "aggregator")
KNOWN = frozenset(module.name for module in PACKAGES)
INITS = frozenset(module.name for module in PACKAGES if module.is_package)
BUDGETED = [*PACKAGES, *modules("benchmarks", "examples")]
BUDGETED += [module for module in modules("tests") if module.path.parts[1] in ("support", "tidy")]


def accept(faults: Iterable[object]) -> None:
    found = list(map(str, faults))
    assert not found, "\n".join(found)


def all_imports() -> list[Import]:
    return [each for module in PACKAGES for each in imports(module, KNOWN)]


def text_files() -> list[tuple[Path, str]]:
    found = []
    for path in files():
        data = (ROOT / path).read_bytes()
        if b"\0" not in data:
            found.append((path, data.decode(errors="replace")))
    return found


def test_there_is_something_to_check() -> None:
    assert {"coodie", "aggregator", "coodie.statement"} <= KNOWN


def test_every_import_is_allowed() -> None:
    accept(rooms.faults(all_imports(), INITS))


def test_every_widening_of_the_import_table_is_needed() -> None:
    accept(rooms.unused(all_imports()))


def test_no_modules_import_each_other() -> None:
    accept(rooms.cycles(all_imports(), INITS))


def test_the_core_knows_no_clock_no_lock_and_no_chance() -> None:
    core = [module for module in PACKAGES if rooms.is_in(module.name, "aggregator.core")]
    accept(fault for module in core for fault in habits.impure(module))


def test_everything_is_within_its_budget() -> None:
    over = dict(fault for module in BUDGETED for fault in budgets.faults(module))
    accept(text for name, text in over.items() if name not in budgets.LONGER)


def test_every_file_says_by_its_name_what_is_in_it() -> None:
    accept(fault for path in files() for fault in habits.nameless(path))


@pytest.mark.parametrize("check", [habits.undocumented, habits.silent])
def test_every_python_file_keeps_the_habits(check: Callable[..., Any]) -> None:
    accept(fault for module in modules() for fault in check(module))


def test_every_checker_that_is_silenced_is_told_why() -> None:
    accept(fault for module in modules() for fault in habits.unexplained(module.path, module.text))


@pytest.mark.parametrize("check", [habits.machine_paths, habits.leftovers])
def test_every_text_keeps_the_habits(check: Callable[..., Any]) -> None:
    accept(fault for path, text in text_files() for fault in check(path, text))
