"""
The aggregator of an application whose framework has no hook for a worker's start: its first request starts it.

Rules that live here:

* Options come from the framework's settings. They are checked when the application is made; nothing is opened and no
  thread started before the process that serves, so a server may import the application and fork.
* With neither an aggregator nor options the started one is served, whoever started it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from aggregator import lifecycle
from aggregator.api import Aggregator
from aggregator.config import Options
from aggregator.exceptions import ConfigurationError

REQUEST_END = ("on_teardown", "discard_on_error")
OPTIONS = tuple(option.name for option in fields(Options))


class Worker:
    """
    What to start in this process, and what its middleware is told.

    Args:
        aggregator: the application's own, or None to make one of the options.
        settings: options by name, those of ``RequestEnd`` among them.
        spelled: how the user writes an option's name, for errors.

    Raises:
        ConfigurationError: an option is unknown, not allowed, or comes beside an aggregator that has its own.
    """

    def __init__(
        self, aggregator: Aggregator | None, settings: Mapping[str, Any], spelled: Callable[[str], str]
    ) -> None:
        for name in settings:
            if name not in OPTIONS + REQUEST_END:
                allowed = ", ".join(map(spelled, OPTIONS + REQUEST_END))
                raise ConfigurationError(f"{spelled(name)} is no option; the options are {allowed}")
        options = {name: value for name, value in settings.items() if name in OPTIONS}
        if aggregator is not None and options:
            names = ", ".join(map(spelled, options))
            raise ConfigurationError(
                f"{names} beside {aggregator!r}: give its options to Aggregator(...), or give none"
            )
        self.request_end = {name: value for name, value in settings.items() if name in REQUEST_END}
        self._given, self._has_options = aggregator, bool(options)
        self.aggregator = aggregator or Aggregator(**options)
        self._process: int | None = None

    def begin(self) -> None:
        """
        Start the aggregator, once in each process; any thread may call it at any time.

        Raises:
            ConfigurationError: another aggregator is started in this process.
            JournalError: the journal cannot be opened. The next call tries again.
        """
        if self._process == os.getpid():
            return
        with lifecycle.OPENING:  # the first requests come on several threads: all wait until it runs
            if not self._is_served(lifecycle.current()):
                self.aggregator.start()
            self._process = os.getpid()

    def _is_served(self, started: Aggregator | None) -> bool:
        """Return whether the started aggregator is as good as the one to start; not where the user chose another."""
        if started is None or self._given is not None:
            return False
        return not self._has_options or started.options == self.aggregator.options
