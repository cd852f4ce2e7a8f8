"""
Who asks, and what they may see and do.

Rules that live here:

* Values of keys are shown on this host, to a socket file's user and to who bears the token; anyone who reaches the
  endpoint sees figures.
* Changes are made by the same user over the socket file, or with the token: a browser can do neither.
* A page of the web must not read figures through a visitor's browser, by a name of its own for 127.0.0.1.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
from typing import NamedTuple

from aggregator.web.answers import Refused, Scope
from aggregator.web.listening import is_loopback

TOKEN = "AGGREGATOR_STATUS_TOKEN"  # noqa: S105 - the name of the variable that holds it


class Visitor(NamedTuple):
    """What a client may."""

    may_see_keys: bool
    may_change: bool


def visitor(scope: Scope, token: str | None) -> Visitor:
    """
    Return what the client of a request may; ``Refused`` where it may not even ask.

    Args:
        scope: of ASGI; its state says whether it came over a socket file, and from which user.
        token: what opens everything; None: nothing does.
    """
    headers = dict(scope["headers"])
    if scope["state"]["is_file"]:
        return Visitor(
            may_see_keys=True, may_change=scope["state"]["peer_uid"] == os.geteuid() or _bears(headers, token)
        )
    if _bears(headers, token):
        return Visitor(may_see_keys=True, may_change=True)
    is_local = is_loopback(scope["client"][0])
    if is_local and not _is_own_name(headers.get(b"host", b"localhost").decode("latin-1")):
        raise Refused(403, "Host must be an address or localhost here, or send the token as Authorization: Bearer")
    return Visitor(may_see_keys=is_local, may_change=False)


def _bears(headers: dict[bytes, bytes], token: str | None) -> bool:
    kind, _, given = headers.get(b"authorization", b"").partition(b" ")
    return bool(token) and kind.lower() == b"bearer" and hmac.compare_digest(given.strip(), str(token).encode())


def _is_own_name(host: str) -> bool:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
