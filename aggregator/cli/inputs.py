"""
The logs that ``aggregator replay`` reads: files, standard input (``-``), plain or gzip by their first two bytes.

Rules that live here:

* :func:`opened` opens every input before one byte is counted; what cannot be opened ends the command there.
* An input that breaks while it is read (a gzip cut short, a bad checksum, an I/O error) gives everything that came
  before the break; then ``Source.fault`` says what broke. It never raises.
* A chunk is at most ``CHUNK_BYTES``, decompressed too: a gzip bomb fills no memory.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from aggregator.cli.failure import USAGE, Failure

CHUNK_BYTES = 64 * 1024
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class ByteStream(Protocol):
    """What is read from: ``read1`` gives what there is, at most so many bytes, none at the end."""

    def read1(self, size: int, /) -> bytes: ...


@dataclass
class Source:
    """One opened input; ``size`` is its length in bytes where that is known."""

    name: str
    stream: ByteStream
    size: int | None = None
    fault: str | None = None

    def chunks(self, on_bytes: Callable[[int], None] = lambda count: None) -> Iterator[bytes]:
        """Read to the end or to the break, decompressed; ``on_bytes`` hears how many bytes of the input were taken."""
        raw = self._raw(on_bytes)
        first = next(raw, b"")
        while len(first) < len(_GZIP) and (more := next(raw, b"")):
            first += more
        if first.startswith(_GZIP):
            yield from self._decompressed(first, raw)
            return
        yield first
        yield from raw

    def _raw(self, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
        """Read the bytes of the input as they are, as soon as there are any: a pipe may be slow."""
        try:
            while chunk := self.stream.read1(CHUNK_BYTES):
                on_bytes(len(chunk))
                yield chunk
        except OSError as error:
            self.fault = f"{self.name}: {_reason(error)}; what came before was counted"

    def _decompressed(self, chunk: bytes, raw: Iterator[bytes]) -> Iterator[bytes]:
        """Decompress one gzip member after another: a log joined by ``cat a.gz b.gz`` holds several."""
        inflate = zlib.decompressobj(_GZIP_WINDOW)
        while chunk or (chunk := next(raw, b"")):
            if inflate.eof:
                chunk = chunk.lstrip(b"\0")  # padding after the last member, which gzip overlooks too
                if not chunk:
                    continue
                inflate = zlib.decompressobj(_GZIP_WINDOW)
            before = inflate.copy()
            try:
                text = inflate.decompress(chunk, CHUNK_BYTES)
            except zlib.error:
                yield from _until_damage(before, chunk)
                self.fault = f"{self.name}: the gzip data is damaged; what came before the damage was counted"
                return
            yield text
            chunk = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
        yield inflate.flush()
        if not inflate.eof and self.fault is None:
            self.fault = f"{self.name}: the gzip data is cut short; what came before the cut was counted"


def _until_damage(inflate: Any, chunk: bytes) -> Iterator[bytes]:
    """Decompress byte by byte: the call that meets the damage gives nothing, so let it be a small one."""
    with contextlib.suppress(zlib.error):
        for place in range(len(chunk)):
            yield inflate.decompress(chunk[place : place + 1])


@contextlib.contextmanager
def opened(names: Sequence[str]) -> Iterator[list[Source]]:
    """Open every input for the time of the context; ``Failure`` (usage) names the first that cannot be opened."""
    if names.count("-") > 1:
        raise Failure("-: standard input can be read only once", USAGE)
    with contextlib.ExitStack() as files:
        yield [_stdin() if name == "-" else _file(name, files) for name in names]


def _stdin() -> Source:
    """Return standard input as a source of unknown length."""
    if sys.stdin is None or sys.stdin.closed:
        raise Failure("-: standard input is closed", USAGE)
    return Source("-", cast(ByteStream, sys.stdin.buffer))


def _file(name: str, files: contextlib.ExitStack) -> Source:
    """Open one file; it is closed with ``files``."""
    try:
        stream = files.enter_context(Path(name).open("rb"))  # noqa: SIM115 - the stack is the context
        status = os.fstat(stream.fileno())
    except OSError as error:
        raise Failure(f"{name}: {_reason(error)}; nothing was stored", USAGE) from error
    except ValueError as error:
        raise Failure(f"{name!r} is no file name: {error}; nothing was stored", USAGE) from error
    return Source(name, stream, status.st_size if stat.S_ISREG(status.st_mode) else None)


def _reason(error: OSError) -> str:
    """Return the operating system's own words for an error."""
    return (error.strerror or str(error)).lower()
