"""
Drivers: the connections of this process and the names under which users reach them.

Rules that live here: only names; what not every program needs, and ``init_coodie``, whose module imports this package,
are imported at their first use. ``_registry`` and ``_default_driver_name`` are the registry's own, for reading and for
writing, so that fixtures which clear or replace them here are obeyed.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from coodie.drivers import registry
from coodie.drivers.registry import get_driver, register_driver
from coodie.drivers.text import AbstractDriver
from coodie.late import names

if TYPE_CHECKING:
    from coodie.connections import init_coodie, init_coodie_async
    from coodie.drivers.lazy import LazyDriver

    _registry: dict[str, Any]
    _default_driver_name: str | None

__all__ = ["AbstractDriver", "LazyDriver", "get_driver", "init_coodie", "init_coodie_async", "register_driver"]

if not TYPE_CHECKING:  # a type checker would take any name for one of ours
    __getattr__, __dir__ = names(__name__, __all__, ("coodie.drivers.lazy", "coodie.connections"))


class _DriversModule(ModuleType):
    """This module, with the registry's two globals as attributes that can be set."""

    @property
    def _registry(self) -> dict[str, Any]:
        return registry._registry

    @_registry.setter
    def _registry(self, drivers: dict[str, Any]) -> None:
        registry._registry = drivers
        registry.changed()

    @property
    def _default_driver_name(self) -> str | None:
        return registry._default_driver_name

    @_default_driver_name.setter
    def _default_driver_name(self, name: str | None) -> None:
        registry._default_driver_name = name
        registry.changed()


sys.modules[__name__].__class__ = _DriversModule
