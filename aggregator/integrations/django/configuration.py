"""
The settings' dict ``AGGREGATOR``, read and checked.

Rules that live here: its keys are the options of ``Aggregator``, those of the middleware, and ``connection``, the
arguments of ``init_coodie``. What Django reads here is the project's alone; the environment fills what it leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from aggregator.exceptions import ConfigurationError
from aggregator.integrations.worker import OPTIONS, REQUEST_END

CONNECTION = "connection"


@dataclass(frozen=True)
class Configuration:
    """What ``AGGREGATOR`` says: options of aggregator and middleware, and how to connect (None: not said)."""

    options: Mapping[str, Any]
    request_end: Mapping[str, Any]
    connection: Mapping[str, Any] | None


def configuration() -> Configuration:
    """
    Return what the project's settings say.

    Raises:
        ConfigurationError: ``AGGREGATOR`` or its ``connection`` is no dict, or has a key that is no option; names it.
    """
    given = _dict("AGGREGATOR", getattr(settings, "AGGREGATOR", {}))
    for name in given:
        if name not in (CONNECTION, *OPTIONS, *REQUEST_END):
            allowed = ", ".join(map(repr, (CONNECTION, *OPTIONS, *REQUEST_END)))
            raise ConfigurationError(f"AGGREGATOR[{name!r}] in the settings is no option; allowed are {allowed}")
    connection = given.get(CONNECTION)
    return Configuration(
        options={name: given[name] for name in given if name in OPTIONS},
        request_end={name: given[name] for name in given if name in REQUEST_END},
        connection=None if connection is None else _dict(f"AGGREGATOR[{CONNECTION!r}]", connection),
    )


def _dict(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} = {value!r} in the settings is not allowed: a dict is")
    return value
