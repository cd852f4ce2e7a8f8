"""
A TCP road to one node that can be cut, so that a database is away for seconds without a node being killed.

    with Road(host, port) as road:
        road.cut()      # connections are reset, new ones refused
        road.mend()     # the same address answers again

Rules that live here: it knows nothing of what it carries; ``attempts`` counts the connections made or tried while it
was cut, which is how a busy loop shows. The commands may come from any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

_CLOSED = (asyncio.IncompleteReadError, OSError)


class Road:
    """A running forwarder in front of one server."""

    def __init__(self, host: str, port: int) -> None:
        self.attempts = 0
        self._node = (host, port)
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="road", daemon=True)
        self._carrying: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Reset every connection, and each new one as soon as it comes."""
        self._run(self._cut())

    def mend(self) -> None:
        """Carry connections again."""
        self._is_cut = False

    def __enter__(self) -> Road:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.address, self.port = self._server.sockets[0].getsockname()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _cut(self) -> None:
        self._is_cut = True
        for writer in self._writers:
            _reset(writer)

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)
        if self._is_cut:
            self.attempts += 1
            _reset(writer)
            return
        with contextlib.suppress(*_CLOSED):
            there, back = await asyncio.open_connection(*self._node)
            self._writers |= {writer, back}
            await asyncio.gather(_carry(reader, back), _carry(there, writer), return_exceptions=True)
            self._writers -= {writer, back}


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a machine that is gone does: at once, what is unsent being lost."""
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes one way until either end is gone, and then end the other."""
    with contextlib.suppress(*_CLOSED):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
