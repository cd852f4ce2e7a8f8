"""A relay on 127.0.0.1, the address the guide's own line names, to a server that listens elsewhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def relayed(host: str, port: int) -> Iterator[int]:
    """Give a port of 127.0.0.1 that leads to the server."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="relay")
    thread.start()
    relay = Relay(host, port)
    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(relay.serve, "127.0.0.1", 0), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        asyncio.run_coroutine_threadsafe(relay.end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def on_localhost(cassandra: Any) -> Iterator[int]:
    """Give a port of 127.0.0.1 that leads to the Cassandra of the tests."""
    if "127.0.0.1" in cassandra.hosts:
        yield cassandra.port
    else:
        with relayed(cassandra.hosts[0], cassandra.port) as port:
            yield port


class Relay:
    """The connections being carried; all methods on one loop."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection both ways until either end closes."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        target_reader, target_writer = await asyncio.open_connection(*self._target)
        ways = [asyncio.create_task(_carry(reader, target_writer)), asyncio.create_task(_carry(target_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.transport.abort()
            target_writer.transport.abort()

    async def end(self) -> None:
        """End every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65_536):
        writer.write(chunk)
        await writer.drain()
