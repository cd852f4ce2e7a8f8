"""
The metrics for Prometheus: a collector that asks when it is scraped, and an exporter for several processes.

Rules that live here:

* In one process nothing is kept: each scrape takes one ``stats()``, so its figures belong together.
* With ``PROMETHEUS_MULTIPROC_DIR`` a scrape is answered by any one process from files that all write; a custom
  collector has no part in that. There each process writes its figures once a second, and at its end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from aggregator import lifecycle
from aggregator.metrics.names import METRICS, readings

if TYPE_CHECKING:
    from aggregator.api import Aggregator

EVERY_S = 1.0


def register(aggregator: Aggregator, registry: CollectorRegistry | None = None) -> None:
    """
    Show an aggregator's metrics in a registry; call it once, before or after ``start()``.

    With ``PROMETHEUS_MULTIPROC_DIR`` in the environment the figures of all its processes are found in that directory
    by ``prometheus_client.multiprocess.MultiProcessCollector``, those of forked children too.

    Args:
        registry: prometheus_client's default one by default.

    Raises:
        ValueError: an aggregator is registered there already (prometheus_client's own error).
    """
    registry = REGISTRY if registry is None else registry
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        aggregator._companions.add(Exporter(aggregator, registry))
    else:
        registry.register(AggregatorCollector(aggregator))


def exposition(aggregator: Aggregator, accept: str) -> tuple[str, bytes]:
    """Return the metrics of one aggregator as text: its content type, chosen by an Accept header, and the text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(AggregatorCollector(aggregator))
    encode, kind = choose_encoder(accept)
    return kind, encode(registry)


class AggregatorCollector(Collector):
    """Collect the metrics of one aggregator, at the instant it is asked."""

    def __init__(self, aggregator: Aggregator) -> None:
        self._aggregator = aggregator

    def describe(self) -> Iterable[Metric]:
        """Name the metrics, so that a second aggregator in one registry is refused at once."""
        return [_family(metric) for metric in METRICS]

    def collect(self) -> Iterable[Metric]:
        stats = self._aggregator.stats()
        for metric in METRICS:
            family = _family(metric)
            for labels, value in readings(stats, metric):
                family.add_metric(labels, value)
            yield family


def _family(metric: Any) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.help, labels=metric.labels)


class Exporter:
    """Write the metrics of this process to the files that all processes of an application share."""

    def __init__(self, aggregator: Aggregator, registry: CollectorRegistry) -> None:
        self._aggregator = aggregator
        self._instruments: dict[str, Any] = {metric.name: _instrument(metric, registry) for metric in METRICS}
        self._written: dict[tuple[str, tuple[str, ...]], float] = {}
        self._ended = threading.Event()

    def begin(self) -> None:
        """Write once a second from now on, in this process."""
        self._written.clear()  # the counts of an aggregator begin at 0 with each start
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._repeat, args=(self._ended,), name="aggregator-metrics", daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        """Write for the last time."""
        self._ended.set()
        self._thread.join(EVERY_S)  # two that write at once would count some of it twice
        self._write()

    def close_in_child(self) -> None:
        """Nothing is the parent's here: prometheus_client opens files of the child's own."""

    def _repeat(self, ended: threading.Event) -> None:
        while not ended.wait(EVERY_S):
            self._write()

    def _write(self) -> None:
        stats = self._aggregator.stats()
        # No process forks meanwhile: its child would wait for ever for prometheus_client's lock.
        with lifecycle.OPENING:
            for metric in METRICS:
                for labels, value in readings(stats, metric):
                    self._set(metric, labels, value)

    def _set(self, metric: Any, labels: tuple[str, ...], value: float) -> None:
        instrument = self._instruments[metric.name]
        child = instrument.labels(*labels) if labels else instrument
        if metric.kind == "counter":
            before = self._written.get((metric.name, labels), 0.0)
            self._written[metric.name, labels] = max(value, before)
            child.inc(max(value - before, 0.0))
        else:
            child.set(value)


def _instrument(metric: Any, registry: CollectorRegistry) -> Counter | Gauge:
    if metric.kind == "counter":
        return Counter(metric.name, metric.help, metric.labels, registry=registry)
    return Gauge(metric.name, metric.help, metric.labels, registry=registry, multiprocess_mode=metric.across)
