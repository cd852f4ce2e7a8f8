"""
The status endpoint of one process: its server, on a thread of its own.

Rules that live here:

* Nothing that goes wrong here keeps an application from counting: one WARNING, and there is no endpoint.
* The server touches neither signal handlers nor the logging of an application that runs on uvicorn itself.
* A forked child lets go of the parent's sockets without a word on them; its own server begins with its aggregator.
* The end never waits for a client.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from aggregator.status_address import parse
from aggregator.web.listening import Listening, peer_uid
from aggregator.web.status import StatusPages

if TYPE_CHECKING:
    from aggregator.api import Aggregator

log = logging.getLogger("aggregator")

THREAD = "aggregator-status"
END_S = 3.0
CONNECTIONS = 64

_silent = logging.getLogger("aggregator.status.http")
_silent.setLevel(logging.CRITICAL + 1)  # what strangers send is no event of the application's


class Connection(H11Protocol):
    """One connection: it tells the application who is at the other end, and logs nothing."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.logger, self.access_log = _silent, False
        peer = transport.get_extra_info("socket")
        self.app_state = {**self.app_state, "peer_uid": peer_uid(peer), "is_file": isinstance(peer.getsockname(), str)}


class Endpoint:
    """Serve the status of an aggregator for as long as it is started, anew in each forked child that counts."""

    def __init__(self, aggregator: Aggregator, address: str) -> None:
        self._aggregator = aggregator
        self._address = address
        self._listening: Listening | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Listen and serve; where that cannot be, one WARNING says why."""
        if _has_green_threads():
            log.warning("no status endpoint at %s: gevent has patched threads; counting goes on", self._address)
            return
        try:
            self._listening = Listening(parse(self._address))
        except OSError as error:
            log.warning("no status endpoint at %s: %s; counting goes on", self._address, error)
            return
        self._server = _server(StatusPages(self._aggregator, lambda: self._is_ending))
        self._thread = threading.Thread(target=self._run, args=(self._server, self._listening), name=THREAD)
        self._thread.daemon = True
        try:
            self._thread.start()
        except RuntimeError as error:
            log.warning("no status endpoint at %s: %s; counting goes on", self._address, error)
            self._listening.close()
            self._listening = self._server = self._thread = None
            return
        log.info("status endpoint: %s", self._listening.url)
        if self._listening.is_wide:
            log.warning("the status endpoint %s can be reached from other hosts", self._listening.url)

    def end(self) -> None:
        """Stop serving; waits for no client."""
        if self._server is None or self._listening is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(END_S)
        self._listening.close()
        self._listening = self._server = self._thread = None

    def close_in_child(self) -> None:
        """Let go of the parent's sockets in a forked child."""
        if self._server is not None and self._listening is not None:
            self._listening.close_in_child()
            for connection in list(self._server.server_state.connections):
                _leave(connection.transport.get_extra_info("socket").fileno())
        self._listening = self._server = self._thread = None

    @property
    def url(self) -> str | None:
        """Where it serves now."""
        return None if self._listening is None else self._listening.url

    @property
    def _is_ending(self) -> bool:
        return self._server is None or self._server.should_exit

    @staticmethod
    def _run(server: uvicorn.Server, listening: Listening) -> None:
        try:
            asyncio.run(_serve(server, listening))
        except Exception:
            log.exception("the status endpoint %s failed; counting goes on", listening.url)


async def _serve(server: uvicorn.Server, listening: Listening) -> None:
    await server.serve(sockets=[listening.socket])
    for connection in list(server.server_state.connections):  # of clients that have not read what they asked for
        connection.transport.abort()
    await asyncio.sleep(0)


def _server(pages: StatusPages) -> uvicorn.Server:
    quiet = _of_another_thread
    server_log = logging.getLogger("uvicorn.error")
    if quiet not in server_log.filters:
        server_log.addFilter(quiet)
    return uvicorn.Server(
        uvicorn.Config(
            pages,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,  # and no access_log=False: that would take the handlers of an application's own server
            proxy_headers=False,  # who asks is who is connected
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
    )


def _of_another_thread(record: logging.LogRecord) -> bool:
    """Tell the application's own uvicorn from ours, which has nothing to say."""
    return record.threadName != THREAD


def _has_green_threads() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def _leave(number: int) -> None:
    # Not closed: the parent's objects in this child's memory still name the number. Nothing may be sent, either.
    with suppress(OSError):
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(nothing, number, inheritable=False)
        os.close(nothing)
