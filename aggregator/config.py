"""
The options of an aggregator: explicit keyword, else environment, else default; checked at construction.

Rules that live here: each error names the option, the value and what is allowed. An empty variable is unset; booleans
are ``1/0/true/false``; ``none`` is None. Callbacks cannot come from the environment.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from aggregator.status_address import parse as parse_status
from coodie.exceptions import ConfigurationError

CONSISTENCY_LEVELS = ("ONE", "TWO", "THREE", "QUORUM", "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "LOCAL_ONE")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Every option of ``Aggregator``; see ``docs/options.md`` for what each means. Times are in seconds."""

    flush_interval: float | None = 1.0
    flush_jitter: float = 0.1
    max_batch_size: int = 500
    max_keys: int = 100_000
    when_full: str = "flush"
    flush_concurrency: int = 16
    consistency: str = "LOCAL_QUORUM"
    flush_timeout: float = 20.0
    shutdown_timeout: float = 25.0
    on_unknown: str = "park"
    journal: str | None = None
    durability: str = "process"
    journal_sync_interval: float = 0.005
    read_pending: bool = False
    mode: str = "buffered"
    status: str | None = None
    on_flush: Callable[[Any], object] | None = None
    on_error: Callable[[BaseException], object] | None = None


CHOICES = {
    "when_full": ("flush", "drop", "direct", "raise"),
    "consistency": CONSISTENCY_LEVELS,
    "on_unknown": ("park", "drop", "retry"),
    "durability": ("process", "disk"),
    "mode": ("buffered", "direct", "null", "agent"),
}
POSITIVE = ("flush_interval", "flush_timeout", "shutdown_timeout", "journal_sync_interval")
COUNTS = ("max_batch_size", "max_keys", "flush_concurrency")
NULLABLE = ("flush_interval", "journal", "status", "on_flush", "on_error")
CALLBACKS = ("on_flush", "on_error")
MAX_KEYS_LIMIT = 100_000_000


def read_options(given: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Options:
    """
    Return the checked options.

    Args:
        given: explicit keywords; an unknown one is a ``TypeError``, as for any function.
        environment: where ``AGGREGATOR_<OPTION>`` is looked up; the process's own by default.

    Raises:
        ConfigurationError: a value, or a pair of values, is not allowed; names the option, the value and what is.
    """
    names = [option.name for option in fields(Options)]
    for name in given:
        if name not in names:
            raise TypeError(f"Aggregator() got an unexpected option {name!r}; the options are {', '.join(names)}")
    values = _from_environment(os.environ if environment is None else environment) | dict(given)
    checked = {name: _checked(name, value) for name, value in values.items()}
    if "max_batch_size" not in checked and "max_keys" in checked:
        checked["max_batch_size"] = min(Options.max_batch_size, checked["max_keys"])  # a small buffer is no mistake
    options = Options(**checked)
    _check_pairs(options)
    return options


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option in fields(Options):
        text = environment.get(f"AGGREGATOR_{option.name.upper()}", "").strip()
        if text and option.name not in CALLBACKS:
            found[option.name] = _parsed(option.name, text)
    return found


def _parsed(name: str, text: str) -> Any:
    if text.lower() == "none":
        return None
    if name == "read_pending":
        answers = {"1": True, "true": True, "0": False, "false": False}
        return answers.get(text.lower(), text)
    if name in COUNTS or name in POSITIVE or name == "flush_jitter":
        try:
            return int(text) if name in COUNTS else float(text)
        except ValueError:
            return text
    return text


def _checked(name: str, value: Any) -> Any:
    if value is None and name in NULLABLE:
        return None
    if name == "journal" and isinstance(value, os.PathLike):
        value = os.fspath(value)
    allowed = _allowed(name, value)
    if allowed is not None:
        raise ConfigurationError(f"{name}={value!r} is not allowed: {allowed} (AGGREGATOR_{name.upper()} or keyword)")
    return float(value) if name in POSITIVE or name == "flush_jitter" else value


def _allowed(name: str, value: Any) -> str | None:
    """Return what is allowed where a value is not, else None."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if name in CHOICES:
        return None if value in CHOICES[name] else "one of " + ", ".join(map(repr, CHOICES[name]))
    if name in POSITIVE:
        none = " or None" if name in NULLABLE else ""
        return None if number and value > 0 else f"a number of seconds above 0{none}"
    if name in COUNTS:
        fits = number and isinstance(value, int) and 1 <= value <= MAX_KEYS_LIMIT
        return None if fits else f"a whole number from 1 to {MAX_KEYS_LIMIT}"
    if name == "flush_jitter":
        return None if number and 0 <= value < 1 else "a share of the interval, from 0 to below 1"
    if name == "read_pending":
        return None if isinstance(value, bool) else "True or False (1/0/true/false)"
    if name in CALLBACKS:
        return None if callable(value) else "a callable or None"
    if name == "status":
        return _allowed_status(value)
    return None if isinstance(value, str) and value else "a non-empty text or None"


def _allowed_status(value: Any) -> str | None:
    try:
        parse_status(value if isinstance(value, str) else "")
    except ValueError as error:
        return str(error)
    return None


def _check_pairs(options: Options) -> None:
    if options.max_batch_size > options.max_keys:
        raise ConfigurationError(
            f"max_batch_size={options.max_batch_size} with max_keys={options.max_keys}: "
            "a batch cannot be larger than the buffer; max_batch_size <= max_keys is allowed"
        )
    if options.mode == "agent" and options.journal is None:
        raise ConfigurationError("mode='agent' with journal=None: an agent's workers need journal=DIRECTORY")
    if options.mode == "agent" and options.when_full == "direct":
        raise ConfigurationError(
            "when_full='direct' with mode='agent': a worker writes nothing itself; 'flush', 'drop', 'raise' are allowed"
        )
    if options.durability == "disk" and options.journal is None:
        raise ConfigurationError("durability='disk' with journal=None: only a journal can be synced; journal=DIRECTORY")
