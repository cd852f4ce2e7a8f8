"""
``install`` for Celery: what the processes of a worker do with the aggregator, and what the end of a task does.

Rules that live here: every process that runs tasks starts the aggregator, a prefork child after its fork. Those
children leave by ``os._exit``, past Python's exit handlers, so Celery's own signal writes what is pending. A task ends
after it has returned, and before its message is acknowledged where that is done late (``acks_late``).
"""

from __future__ import annotations

from typing import Any

from celery import Celery, signals, states

from aggregator.api import Aggregator
from aggregator.exceptions import ConfigurationError
from aggregator.integrations.request_end import OnTeardown, RequestEnd
from aggregator.integrations.worker import Worker

_installed: dict[Celery, Tasks] = {}


def install(
    app: Celery,
    aggregator: Aggregator | None = None,
    *,
    on_teardown: OnTeardown = "wake",
    discard_on_error: bool = False,
) -> None:
    """
    Count in the tasks of a Celery application; call it where that is made. Nothing is started before a task is run.

    Args:
        app: its tasks, in a prefork pool, in threads, or solo.
        aggregator: None serves the started one, and makes one of the environment's options where there is none.
        on_teardown: what the end of a task does; see ``RequestEnd``.
        discard_on_error: a task that fails, or is to be tried again, counts nothing.

    Raises:
        ConfigurationError: an option is not allowed, or the application has this installed already.
    """
    if app in _installed:
        raise ConfigurationError(f"install({app!r}) for the second time: every task would end twice")
    _installed[app] = Tasks(app, aggregator, on_teardown=on_teardown, discard_on_error=discard_on_error)


class Tasks(RequestEnd):
    """The tasks of one application, between the signals that Celery sends."""

    def __init__(self, app: Celery, aggregator: Aggregator | None, **options: Any) -> None:
        super().__init__(app, aggregator, **options)
        self._worker = Worker(aggregator, {}, str)
        signals.worker_process_init.connect(lambda **_: self._worker.begin(), weak=False)
        signals.worker_process_shutdown.connect(lambda **_: self._last_flush(), weak=False)
        signals.task_prerun.connect(self._before)
        signals.task_postrun.connect(self._after)

    def _last_flush(self) -> None:
        if (aggregator := self._serving()) is not None:
            aggregator.shutdown()

    def _before(self, sender: Any, **_signal: object) -> None:
        if sender.app is self.app:
            self._worker.begin()
            if self._discard_on_error and (aggregator := self._serving()) is not None:
                sender.request.aggregator_scope = aggregator.request(discard_on_error=True).__enter__()

    def _after(self, sender: Any, state: str | None = None, **_signal: object) -> None:
        scope = getattr(sender.request, "aggregator_scope", None) if sender.app is self.app else None
        if scope is not None:
            if state not in (states.SUCCESS, states.IGNORED):
                scope.discard()
            scope.__exit__(None, None, None)
        try:
            aggregator = self._serving() if sender.app is self.app else None
            if aggregator is not None and self._owes_flush(aggregator):
                aggregator.flush()
        except Exception as error:
            self._log_failed_flush(error)
