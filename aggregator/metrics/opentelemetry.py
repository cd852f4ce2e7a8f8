"""
The metrics for OpenTelemetry: observable instruments that ask when they are read.

Rules that live here: only the API is used; where the figures go is the business of the application's SDK. The
instruments of one reading share one ``stats()``, so their figures belong together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider

from aggregator import lifecycle
from aggregator.metrics.names import METRICS, Metric, readings

if TYPE_CHECKING:
    from aggregator.api import Aggregator
    from aggregator.core.records import Stats


def register(meter_provider: MeterProvider | None = None, *, aggregator: Aggregator | None = None) -> None:
    """
    Show an aggregator's metrics under the meter ``aggregator``; call it once.

    Args:
        meter_provider: the application's; the global one by default.
        aggregator: None: the one this process has started, when it is read; nothing is shown while there is none.
    """
    meter = (meter_provider or get_meter_provider()).get_meter("aggregator")
    reading = Reading(aggregator)
    kinds = {
        "counter": meter.create_observable_counter,
        "sum": meter.create_observable_up_down_counter,
        "gauge": meter.create_observable_gauge,
    }
    for metric in METRICS:
        kinds[metric.kind](metric.dotted, [reading.of(metric)], metric.unit, metric.help)


class Reading:
    """Hold the statistics for the instruments of one reading: whichever asks a second time begins the next one."""

    def __init__(self, aggregator: Aggregator | None) -> None:
        self._aggregator = aggregator
        self._lock = threading.Lock()
        self._served: set[str] = set()
        self._stats: Stats | None = None

    def of(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """Return the callback of one instrument."""

        def observe(options: CallbackOptions) -> Iterable[Observation]:
            stats = self._taken(metric.name)
            if stats is None:
                return []
            return [
                Observation(value if metric.unit == "s" else int(value), dict(zip(metric.labels, labels, strict=True)))
                for labels, value in readings(stats, metric)
            ]

        return observe

    def _taken(self, name: str) -> Stats | None:
        with self._lock:
            if name in self._served or not self._served:
                self._served.clear()
                aggregator = self._aggregator or lifecycle.current()
                self._stats = None if aggregator is None else aggregator.stats()
            self._served.add(name)
            return self._stats
