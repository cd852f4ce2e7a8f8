"""
The ``AppConfig``: what a Django process has before it counts.

Rules that live here: ``ready()`` checks the settings and registers the connection; it starts no thread, so a server may
load the project and fork. The process's first request or increment, whichever comes first, starts the aggregator; the
last flush comes by itself when the process ends.
"""

from __future__ import annotations

import os

from django.apps import AppConfig

from aggregator.api import Aggregator
from aggregator.beginning import begin_later
from aggregator.integrations.django.configuration import configuration
from aggregator.lifecycle import current
from coodie.connections import init_coodie


class AggregatorConfig(AppConfig):  # type: ignore[misc]  # Django has no types of its own
    """The application of the settings' dict ``AGGREGATOR``; ``aggregator`` is the one of this process."""

    name = "aggregator.integrations.django"
    label = "aggregator"
    verbose_name = "Aggregator"
    aggregator: Aggregator
    _process: int | None = None

    def ready(self) -> None:
        """
        Make the aggregator of the settings; see ``configuration`` for what is refused.

        A server of the ``connection`` is reached at the first statement, as Django's own databases are.
        """
        chosen = configuration()
        if chosen.connection is not None:
            init_coodie(**{"lazy": True, **chosen.connection})
        self.aggregator = Aggregator(**chosen.options)
        started = current()
        if started is not None and started.options == self.aggregator.options:
            self.aggregator = started  # Django is made ready once more: a test that changes INSTALLED_APPS
        else:
            begin_later(self.aggregator)

    def begin(self) -> None:
        """
        Start the aggregator, once in each process; any thread may call it at any time.

        Raises:
            JournalError: the journal cannot be opened. The next call tries again.
        """
        if self._process != os.getpid():
            self.aggregator.start()
            self._process = os.getpid()
