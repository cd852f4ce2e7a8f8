"""
The drivers of this process by name, and which of them is the default.

Rules that live here:

* The first driver registered is the default until another one is registered as such.
* ``_registry`` and ``_default_driver_name`` are read and cleared by tests of users (through ``coodie.drivers``); the
  dictionary therefore tells ``on_change`` itself, however it is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coodie.exceptions import ConfigurationError

NONE_REGISTERED = "No coodie driver registered. Call init_coodie() first."

on_change: list[Callable[[], None]] = []
"""Called, without arguments, after every change of what a name stands for."""


def changed() -> None:
    """Tell everyone who keeps something derived from the registry that it has changed."""
    for listener in on_change:
        listener()


class Registry(dict[str, Any]):
    """A dict of name -> driver that announces its changes."""

    def __setitem__(self, name: str, driver: Any) -> None:
        """Put a driver under a name and announce it."""
        super().__setitem__(name, driver)
        changed()

    def __delitem__(self, name: str) -> None:
        """Take a name out and announce it."""
        super().__delitem__(name)
        changed()

    def pop(self, *args: Any) -> Any:
        """Take a name out, announce it, and return its driver."""
        driver = super().pop(*args)
        changed()
        return driver

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Put several drivers and announce them."""
        super().update(*args, **kwargs)
        changed()

    def clear(self) -> None:
        """Forget every driver and announce it."""
        super().clear()
        changed()


_registry: dict[str, Any] = Registry()
_default_driver_name: str | None = None


def register_driver(name: str, driver: Any, default: bool = False) -> None:
    """
    Put a driver under a name, replacing the one there (which is not closed).

    It becomes the default when asked to, or when there is no default. From any thread.
    """
    global _default_driver_name
    if default or _default_driver_name not in _registry:
        _default_driver_name = name
    _registry[name] = driver


def default_name() -> str:
    """Return the name of the default driver; ConfigurationError where there is none."""
    if _default_driver_name is None or _default_driver_name not in _registry:
        raise ConfigurationError(NONE_REGISTERED)
    return _default_driver_name


def get_driver(name: str | None = None) -> Any:
    """Return the driver of a name, or the default one; ConfigurationError where there is none."""
    if name is None:
        return _registry[default_name()]
    try:
        return _registry[name]
    except KeyError:
        known = ", ".join(sorted(_registry)) or "none"
        raise ConfigurationError(f"{NONE_REGISTERED} There is none named {name!r}; registered: {known}.") from None
