"""
The request targets of an access log in the common or combined format; pure, bytes in, text out.

Rules that live here:

* ``host ident user [time] "request" status size ...``: the request is what stands in quotes after the first ``] "``;
  a quote inside a user name or a target is escaped by the server, and a target is kept as it stands in the log, escapes
  included, as ``awk '{print $7}'`` prints it.
* The target is the second of the request's three words. A line without them is a bad line: ``target`` returns None.
* The target becomes a primary key, so it is ASCII (bytes above 0x7F percent-encoded) and at most ``TARGET_BYTES_MAX``.
* Memory is bounded whatever the input: of each line only the first ``LINE_BYTES_MAX`` bytes are kept. A request stands
  near the front of its line, so a line with an endless referrer still counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

TARGET_BYTES_MAX = 65_535  # what Cassandra allows for a partition key
LINE_BYTES_MAX = 256 * 1024

# Neither the method nor the protocol may hold a quote: so `"-" 408 "-"` cannot pass for three words.
_REQUEST = re.compile(rb'([^\s"]+)[ \t]+(\S+)[ \t]+([^\s"]+)[ \t]*"')
_NOT_ASCII = re.compile(rb"[\x80-\xff]")


def target(line: bytes) -> str | None:
    """Return the request target of one line, or None for a bad line."""
    found = line.find(b'] "')
    request = _REQUEST.match(line, found + 3) if found >= 0 else None
    if request is None:
        return None
    text = _NOT_ASCII.sub(lambda byte: b"%%%02X" % ord(byte[0]), request[2])
    return text.decode("ascii") if len(text) <= TARGET_BYTES_MAX else None


def batches(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Cut a stream of bytes into lines of at most ``LINE_BYTES_MAX``; a list for each chunk that ends a line."""
    carry = b""
    for chunk in chunks:
        first, *rest = chunk.split(b"\n")
        head = (carry + first)[:LINE_BYTES_MAX]
        if not rest:
            carry = head
            continue
        carry = rest.pop()[:LINE_BYTES_MAX]
        yield [head, *(line[:LINE_BYTES_MAX] for line in rest)]
    if carry:
        yield [carry]
