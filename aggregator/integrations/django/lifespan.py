"""
``with_lifespan``: the ASGI events by which a server tells that its worker ends; Django itself refuses them.

Rules that live here: uvicorn ends a worker by the signal it was sent, and Python's exit handlers do not run then, so
under it the last flush must come before, at the end of the lifespan. Where no lifespan runs, one WARNING says so.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from django.apps import apps

from aggregator.integrations.asgi import Receive, Scope, Send
from aggregator.lifecycle import current

logger = logging.getLogger("aggregator")

_told: int | None = None  # the process that runs a lifespan, or was warned that it does not


def with_lifespan(application: Any) -> Any:
    """
    Return an ASGI application that starts the aggregator with its worker and writes what is pending at its end.

    ``application``: Django's, or one around it: ``application = with_lifespan(get_asgi_application())``.
    """

    async def with_last_flush(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await application(scope, receive, send)

    return with_last_flush


async def _live(receive: Receive, send: Send) -> None:
    global _told
    await receive()
    try:
        apps.get_app_config("aggregator").begin()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    _told = os.getpid()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await apps.get_app_config("aggregator").aggregator.ashutdown()
    await send({"type": "lifespan.shutdown.complete"})


def warn_without_lifespan() -> None:
    """Say once in each process that its last flush may not come."""
    global _told
    if _told != os.getpid():
        _told = os.getpid()
        started = current()
        if started is not None and started.options.journal is None:
            logger.warning(
                "no lifespan runs in this process: under uvicorn what was counted since the last flush is lost when "
                "it ends; in asgi.py write application = with_lifespan(get_asgi_application()), from "
                "aggregator.integrations.django, or give AGGREGATOR a journal"
            )
