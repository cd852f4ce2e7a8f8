"""
The intake's server: uvicorn on a thread of its own.

Rules that live here: it listens before ``start`` returns and touches no signal handler; ``stop`` lets requests that are
under way end, for some seconds.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from functools import partial

import uvicorn

from aggregator.agent.intake.app import App
from aggregator.agent.intake.callers import Callers
from aggregator.agent.intake.connection import HEAD_BYTES, IDLE_S, REQUEST_S, Connection
from aggregator.web.listening import Listening

STOP_S = 3

log = logging.getLogger("aggregator")


class Server:
    """Serve one listening socket."""

    def __init__(self, app: App, callers: Callers, listening: Listening, request_s: float = REQUEST_S) -> None:
        self._listening = listening
        config = uvicorn.Config(
            app,
            http=partial(Connection, callers, request_s),  # type: ignore[arg-type]  # it is called, not subclassed
            loop="asyncio",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=STOP_S,
            h11_max_incomplete_event_size=HEAD_BYTES,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="aggregator-intake", daemon=True)

    def start(self) -> None:
        """Begin to serve; from now on clients can connect."""
        self._thread.start()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._listening.socket]))
        except Exception:
            log.exception("the intake has ended: clients are refused until the agent is restarted")

    @property
    def is_alive(self) -> bool:
        """Return whether it serves."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Take no new connection, let what is under way end, and take the socket's name away."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._listening.close()
