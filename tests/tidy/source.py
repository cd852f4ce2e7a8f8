"""
The files of the project, and what a module imports.

Rules that live here: an import under ``if TYPE_CHECKING:`` carries nothing at run time, so it is no import; a relative
import is written out; ``from package import module`` imports the module.
"""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Module:
    """One Python file: its place from the root, its dotted name and its syntax tree."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        """The dotted name; a package's is that of its ``__init__``."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @functools.cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @property
    def is_package(self) -> bool:
        """Whether this is an ``__init__``."""
        return self.path.stem == "__init__"


@dataclass(frozen=True)
class Import:
    """``importer`` imports ``imported``; ``local`` when that happens inside a function."""

    importer: str
    imported: str
    local: bool
    line: int


@functools.cache
def files() -> tuple[Path, ...]:
    """Return every file that is in git or would be added to it, from the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(path for path in map(Path, sorted(listed.split("\0"))) if path.name and (ROOT / path).is_file())


@functools.cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Return the Python files under the folders; under all where none is named."""
    paths = [path for path in files() if path.suffix == ".py" and (not folders or path.parts[0] in folders)]
    return tuple(Module(path, (ROOT / path).read_text(encoding="utf-8")) for path in paths)


def imports(module: Module, known: frozenset[str]) -> Iterator[Import]:
    """Yield what the module imports; ``known`` are the names of our modules, to tell a module from a name in one."""
    for node, local in _statements(module.tree, local=False):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module.name, alias.name, local, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(module, node)
            targets = {f"{source}.{alias.name}" for alias in node.names}
            for target in sorted({target if target in known else source for target in targets}):
                yield Import(module.name, target, local, node.lineno)


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    parts = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def _statements(tree: ast.AST, *, local: bool) -> Iterator[tuple[ast.AST, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node, local
        yield from _statements(node, local=local or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
