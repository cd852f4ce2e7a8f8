"""
Names that a package offers and imports when they are first asked for.

Rules that live here: importing such a package costs nothing of what it offers; a name once asked for is an ordinary
attribute. Modules it lists are attributes too, as if the package had imported them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any


def names(
    package: str, offered: Sequence[str], homes: Sequence[str], modules: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """
    Return the ``__getattr__`` and ``__dir__`` of a package.

    ``offered``: its names, looked for in ``homes``, the cheap modules first; ``modules``: those below the package that
    are offered as well. From any thread: a lost race sets the same object twice.
    """

    def get(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in offered:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = next(getattr(home, name) for home in map(import_module, homes) if hasattr(home, name))
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted({*offered, *modules})
