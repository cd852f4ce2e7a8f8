"""
Habits that a syntax tree or a line of text shows: names of files, docstrings, silent handlers, clocks, paths.

Rules that live here: each check takes one file and yields a sentence for each fault.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.source import Module

# Say what is in a file; these names say only that it was hard to name.
_NAMELESS = re.compile(r"_?(utils?|utilities|helpers?|managers?|base|common|misc)", re.IGNORECASE)

# Lock, clock and randomness are handed in to the core, and it speaks to nobody.
_BANNED_IN_CORE = {"time", "threading", "asyncio", "random", "socket", "logging"}

# Put together from halves, so that this file does not hold what it looks for.
_MACHINE_PATH = re.compile(r"(?<![\w.:>~-])/" + r"(work|root|home/[\w.-]+)/(?!\s)")

# A checker that is told to look away is told why: "type: ignore[misc]  # why", "noqa: S105 - why".
_WAIVER = re.compile(r"#\s*(type: ignore|no" + r"qa)\b(?P<rest>.*)")
_REASONED = re.compile(r"(\[[\w, -]+\]\s+#|: [A-Z0-9, ]+ -) \S")

_LEFTOVER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


def nameless(path: Path) -> Iterator[str]:
    """Find a Python file or its folder whose name says nothing."""
    for part in path.with_suffix("").parts:
        if path.suffix == ".py" and _NAMELESS.fullmatch(part):
            yield f"{path}: {part!r} does not say what is in it"


def undocumented(module: Module) -> Iterator[str]:
    """Find a module without a docstring."""
    if not ast.get_docstring(module.tree):
        yield f"{module.path}: no docstring"


def silent(module: Module) -> Iterator[str]:
    """Find a handler that only passes; where that is meant, contextlib.suppress says so."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and all(_is_nothing(each) for each in node.body):
            yield f"{module.path}:{node.lineno} swallows an error in silence"


def _is_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def impure(module: Module) -> Iterator[str]:
    """Find a word that the aggregator's core must not know."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            words = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            words = {(node.module or "").split(".")[0]}
        else:
            words = {node.id} if isinstance(node, ast.Name) else set()
        for word in sorted(words & _BANNED_IN_CORE):
            yield f"{module.path}:{getattr(node, 'lineno', 0)} speaks of {word}"


def machine_paths(path: Path, text: str) -> Iterator[str]:
    """Find a path that exists on the author's machine only."""
    for number, line in enumerate(text.splitlines(), 1):
        for match in _MACHINE_PATH.finditer(line):
            yield f"{path}:{number} names {match.group()}"


def leftovers(path: Path, text: str) -> Iterator[str]:
    """Find a note that something is not finished; an issue is the place for it."""
    for number, line in enumerate(text.splitlines(), 1):
        for match in _LEFTOVER.finditer(line):
            yield f"{path}:{number} holds a {match.group()}"


def unexplained(path: Path, text: str) -> Iterator[str]:
    """Find a line that silences a checker and does not say why."""
    for number, line in enumerate(text.splitlines(), 1):
        for match in _WAIVER.finditer(line):
            if not _REASONED.match(match["rest"]):
                yield f"{path}:{number} gives no reason for {match.group().strip()!r}"
