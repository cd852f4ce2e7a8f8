"""Every row of the fault matrix has its tests, or the reason why it has none."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.faults.matrix import MATRIX, Row

TESTS = Path(__file__).parents[1]


def test_the_matrix_is_whole() -> None:
    assert list(MATRIX) == list(range(1, 29))


@pytest.mark.parametrize("number", MATRIX)
def test_every_row_has_its_tests_or_a_reason(number: int) -> None:
    row: Row = MATRIX[number]
    assert bool(row.tests) != bool(row.why_not)
    missing = [name for name in row.tests if name.partition("::")[2] not in functions(name.partition("::")[0])]
    assert not missing, f"row {number}, {row.fault}: {missing}"


def functions(file: str) -> set[str]:
    """Return the names of the tests in a file below ``tests``; none where there is no such file."""
    path = TESTS / file
    if not path.exists():
        return set()
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
