"""
How long a file, a function and a class may be.

Rules that live here: these are alarms, not aims (a median file has about 150 lines); what may be longer stands in
``LONGER`` with its reason. A function's docstring is not counted.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.tidy.source import Module

FILE, FACE, INTEGRATION = 300, 220, 80
FUNCTION = 40
PUBLIC_METHODS = 15

# name of a module, or module:class, or module:function -> why it may be longer than its budget
LONGER = {
    "coodie.builders:QueryBuilder": "the builder half of QuerySet, for both faces",
    "coodie.sync.query:QuerySet": "the builder and the terminal methods are one public class by contract",
    "coodie.aio.query:QuerySet": "the builder and the terminal methods are one public class by contract",
    "coodie.sync.document:Document": "a public class by contract",
    "coodie.aio.document:Document": "a public class by contract",
    "aggregator.journal.ledger:JournalLedger": "the Ledger's fifteen, and what recovery alone asks of this one",
}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def faults(module: Module) -> Iterator[tuple[str, str]]:
    """Yield (name, what is too long) for everything in the module that is over its budget."""
    budget = _file_budget(module.name)
    lines = len(module.text.splitlines())
    if lines > budget:
        yield module.name, f"{module.path}: {lines} lines, budget {budget}"
    for node in ast.walk(module.tree):
        if isinstance(node, _Function) and _length(node) > FUNCTION:
            yield (
                f"{module.name}:{node.name}",
                f"{module.path}:{node.lineno} {node.name} has {_length(node)} lines, budget {FUNCTION}",
            )
        if isinstance(node, ast.ClassDef):
            public = {each.name for each in node.body if isinstance(each, _Function) and not each.name.startswith("_")}
            if len(public) > PUBLIC_METHODS:
                found = f"{module.path}:{node.lineno} {node.name} has {len(public)} public methods"
                yield f"{module.name}:{node.name}", f"{found}, budget {PUBLIC_METHODS}"


def _file_budget(name: str) -> int:
    if name.startswith(("coodie.sync", "coodie.aio")):
        return FACE
    return INTEGRATION if name.startswith("aggregator.integrations.") else FILE


def _length(node: _Function) -> int:
    assert node.end_lineno is not None
    lines = node.end_lineno - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None and first.end_lineno is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines
