"""
Who is at the other end of a connection, and whether it may count.

Rules that live here:

* On a Unix socket the kernel says which user it is (SO_PEERCRED); one that is not on the list is refused. Over TCP it
  is whoever knows the token, compared in constant time.
* Connections are counted, of all and of each caller: one that opens many leaves room for the others.
* On the server's thread alone.
"""

from __future__ import annotations

import hmac
import resource
import socket
import stat
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from aggregator.agent.intake.refusal import Refusal
from aggregator.exceptions import ConfigurationError
from aggregator.web.listening import peer_uid

CONNECTIONS = 512
TOKEN_CHARACTERS = 16


class Callers:
    """The door: who may come in, and who is in."""

    def __init__(self, users: Iterable[int], token: bytes | None) -> None:
        """``users``: ids that may use the Unix socket; ``token``: what every request must carry, None: nothing."""
        self._users = frozenset(users)
        self._token = None if token is None else b"Bearer " + token
        self._inside: Counter[str] = Counter()
        self.refused = 0  # connections that are about to be closed
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = min(CONNECTIONS, soft // 2)
        self._most_of_one = self._most * 3 // 4

    def enter(self, connection: socket.socket) -> str:
        """Let a new connection in and return its caller; raises :class:`Refusal` (403, 429, 503)."""
        caller = "tcp"
        if connection.family == socket.AF_UNIX:
            user = peer_uid(connection)
            if user not in self._users:
                raise Refusal(403, f"user {user} may not count here: see --allow-uid")
            caller = f"uid:{user}"
        if self._inside.total() >= self._most:
            raise Refusal(503, f"{self._most} connections are open already", 1)
        if self._inside[caller] >= self._most_of_one:
            raise Refusal(429, f"{self._most_of_one} connections of yours are open already", 1)
        self._inside[caller] += 1
        return caller

    def leave(self, caller: str) -> None:
        """Take note that a connection that was let in has ended."""
        self._inside[caller] -= 1

    def check_token(self, given: bytes) -> None:
        """Refuse (401) a request without the token, where one is wanted; ``given``: its Authorization."""
        if self._token is not None and not hmac.compare_digest(given, self._token):
            raise Refusal(401, "the token is missing or wrong: Authorization: Bearer TOKEN")


def read_token(path: str | Path) -> bytes:
    """Return the token of a file that nobody else can read; ``ConfigurationError`` where it is not fit for one."""
    place = Path(path)
    try:
        mode = place.stat().st_mode
        token = place.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"the token file {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigurationError(f"the token file {path} is open to others ({stat.S_IMODE(mode):o}); chmod 600 {path}")
    if len(token) < TOKEN_CHARACTERS or not token.isascii() or len(token.split()) != 1:
        raise ConfigurationError(
            f"the token in {path} is not fit: one word of {TOKEN_CHARACTERS} ASCII characters or more is allowed"
        )
    return token
