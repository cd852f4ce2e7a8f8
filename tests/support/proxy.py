"""
A proxy in front of one Cassandra node that loses, holds, refuses and repeats CQL frames on command.

    with Proxy(node.address, node.port) as proxy:
        fault = proxy.drop_reply("UPDATE")      # the next request whose CQL contains the text
        ...                                     # a client on proxy.address, proxy.port meets it
        assert fault.wait() and proxy.count("UPDATE") == 1

Rules that live here:

* A fault hits one request, the next that matches; ``wait`` returns when it has.
* A match is by CQL text. An EXECUTE frame carries an id in place of it: the proxy remembers the text of every
  statement prepared through it.
* Version 4 only: newer clients are refused as an old server would, and both drivers then step down by themselves.
  Compression would hide the text: a compressed frame ends the connection.
* Drivers ask system.local and system.peers where the nodes are. Both cassandra-driver and acsylla (cpp-driver) keep the
  address they connected to for the node that answers, so in front of a single node the proxy needs no tricks, whatever
  its address and port: give its address as the only host. In front of a node of a cluster they also find the others,
  at their real addresses; keep them on the proxy with ``WhiteListRoundRobinPolicy([address])`` or acsylla's
  ``whitelist_hosts=address``. It listens beside the node where it can (127.0.x.1 -> 127.0.x.101, the same port), for
  a client that joins a discovered address with the port it was given must reach that node.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field

from tests.support import frames
from tests.support.frames import BATCH, ERROR, EXECUTE, HEADER, PREPARE, QUERY, RESULT, Frame

_CLOSED = (asyncio.IncompleteReadError, OSError)
_COMPRESSED = 0x01
_STATEMENTS = (QUERY, EXECUTE, BATCH)
_REFUSED = "Invalid or unsupported protocol version (5); supported versions are (4/v4)"


class Wire:
    """A connection that carries whole frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> Frame:
        """Return the next frame; raise IncompleteReadError or ConnectionError where the connection ends first."""
        version, flags, stream, opcode, length = HEADER.unpack(await self._reader.readexactly(HEADER.size))
        return Frame(version, flags, stream, opcode, await self._reader.readexactly(length))

    def send(self, frame: Frame) -> None:
        """Send it in time; a test's frames are few enough to need no back-pressure."""
        self._writer.write(frame.pack())

    async def abort(self) -> None:
        """Reset the connection and return when it is gone."""
        self._writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@dataclass(eq=False)
class Fault:
    """One thing that will go wrong, and what came of it. ``frame`` is the request it hit."""

    kind: str  # drop reply, kill request, hold reply, refuse
    text: str
    frame: Frame | None = None
    answer: bytes = b""
    hit: threading.Event = field(default_factory=threading.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop | None = None

    def wait(self, seconds: float = 20) -> bool:
        """Return True once it has hit, False when the time is over. From any thread."""
        return self.hit.wait(seconds)

    def release(self) -> None:
        """Let a held reply go to the client. From any thread."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.released.set)


class Proxy:
    """A running proxy; the commands may come from any thread."""

    def __init__(self, host: str, port: int) -> None:
        self.address, self.port = "", 0  # known when it listens
        self._node = (host, port)
        self._faults: list[Fault] = []
        self.forwarded: list[str] = []
        self.prepared: dict[bytes, str] = {}
        self._errors: list[AssertionError] = []
        self._serving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cql-proxy", daemon=True)

    def drop_reply(self, text: str) -> Fault:
        """Have the node apply the next matching request, then lose its reply and reset the client's connection."""
        return self._arm("drop reply", text)

    def kill_request(self, text: str) -> Fault:
        """Reset the client's connection at the next matching request, which the node never sees."""
        return self._arm("kill request", text)

    def hold_reply(self, text: str) -> Fault:
        """Keep back the reply to the next matching request, which the node has applied, until ``release``."""
        return self._arm("hold reply", text)

    def refuse(self, text: str, code: int, tail: bytes = b"") -> Fault:
        """Answer the next matching request, which the node never sees, with an error of the protocol."""
        reason = f"the proxy answers {code:#06x}".encode()
        fault = self._arm("refuse", text)
        fault.answer = struct.pack(f">iH{len(reason)}s", code, len(reason), reason) + tail
        return fault

    def close_to_clients(self) -> None:
        """Reset every client's connection and take no new one, as a node does that has gone."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()

    def replay(self, frame: Frame) -> Frame:
        """Send an old frame to the node once more, on a connection of its own, and return the node's reply."""
        with socket.create_connection(self._node, timeout=20) as connection:
            frames.hail(connection)
            connection.sendall(frame.pack())
            return frames.receive(connection)

    def count(self, text: str) -> int:
        """Return how many requests containing the text went on to the node."""
        return sum(text in request for request in self.forwarded)

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.address, self.port = self._server.sockets[0].getsockname()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        assert not self._errors, self._errors

    async def _listen(self) -> asyncio.Server:
        host, port = self._node
        try:
            return await asyncio.start_server(self._serve, f"{host.rpartition('.')[0]}.101", port)
        except OSError:  # the node is not on a loopback address of its own, or holds the port on all of them
            return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _close(self) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _arm(self, kind: str, text: str) -> Fault:
        fault = Fault(kind, text, loop=self._loop)
        self._faults.append(fault)
        return fault

    def text_of(self, frame: Frame) -> str:
        """Return the CQL of a request. In the proxy's thread, as all that follows."""
        assert not frame.flags & _COMPRESSED, "connect to the proxy without compression"
        texts = [text for known, text in self.prepared.items() if known in frame.body]
        return "\n".join([frame.body.decode(errors="replace"), *texts])

    def meet(self, frame: Frame, text: str) -> Fault | None:
        """Take out the first fault that the request matches."""
        for fault in self._faults:
            if frame.opcode in _STATEMENTS and fault.text in text:
                self._faults.remove(fault)
                fault.frame = frame
                return fault
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        client = Wire(reader, writer)
        try:
            with contextlib.suppress(*_CLOSED):  # one of the ends has gone, and now the other goes too
                node = Wire(*await asyncio.open_connection(*self._node))
                try:
                    await _Link(self, client, node).carry()
                finally:
                    await node.abort()
        except AssertionError as error:
            self._errors.append(error)
        finally:
            await client.abort()


class _Link:
    """One client's connection and its twin to the node; either way ends by returning, and both end together."""

    def __init__(self, proxy: Proxy, client: Wire, node: Wire) -> None:
        self._proxy = proxy
        self._client = client
        self._node = node
        self._open: dict[int, tuple[Frame, str, Fault | None]] = {}  # by stream
        self._held: set[asyncio.Task[None]] = set()

    async def carry(self) -> None:
        """Carry frames both ways until a fault ends the connection; raise what ended it otherwise."""
        ways = [asyncio.create_task(self._requests()), asyncio.create_task(self._replies())]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for task in (*ways, *self._held):
                task.cancel()
            await asyncio.gather(*ways, *self._held, return_exceptions=True)

    async def _requests(self) -> None:
        while True:
            frame = await self._client.receive()
            if frame.version > 4:
                body = struct.pack(f">IH{len(_REFUSED)}s", 0x000A, len(_REFUSED), _REFUSED.encode())
                self._client.send(Frame(0x84, 0, frame.stream, ERROR, body))
                continue
            text = self._proxy.text_of(frame)
            fault = self._proxy.meet(frame, text)
            if fault is not None and fault.kind == "kill request":
                fault.hit.set()
                return
            if fault is not None and fault.kind == "refuse":
                fault.hit.set()
                self._client.send(Frame(0x84, 0, frame.stream, ERROR, fault.answer))
                continue
            self._open[frame.stream] = (frame, text, fault)
            if frame.opcode in _STATEMENTS:
                self._proxy.forwarded.append(text)
            self._node.send(frame)

    async def _replies(self) -> None:
        while True:
            reply = await self._node.receive()
            request, text, fault = self._open.pop(reply.stream, (None, "", None))
            if request is not None and request.opcode == PREPARE and reply.opcode == RESULT:
                (length,) = struct.unpack_from(">H", reply.body, 4)
                self._proxy.prepared[reply.body[6 : 6 + length]] = text
            if fault is None:
                self._client.send(reply)
                continue
            fault.hit.set()
            if fault.kind == "drop reply":
                return
            held = asyncio.create_task(self._hold(fault, reply))
            self._held.add(held)
            held.add_done_callback(self._held.discard)

    async def _hold(self, fault: Fault, reply: Frame) -> None:
        await fault.released.wait()
        self._client.send(reply)
