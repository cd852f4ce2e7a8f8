"""
The paths of the status endpoint, as an ASGI application; ``docs/status.md`` is its reference.

Rules that live here: every answer is made when it is asked for, on the endpoint's own loop, and is refused before
anything is done. What is shown of parked rows bears an id of exactly what was shown, and only that can be resolved.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from aggregator.exceptions import LifecycleError
from aggregator.web.access import TOKEN, Visitor, visitor
from aggregator.web.answers import Answer, Receive, Refused, Scope, Send, as_json, body_of, deliver, encoded, said
from aggregator.web.live import figures, page
from aggregator.web.stream import Streams

if TYPE_CHECKING:
    from aggregator.api import Aggregator
    from aggregator.core.records import Unknown

log = logging.getLogger("aggregator")

TOP_MAX = 1000
KEYED = ("/top.json", "/unknown.json", "/rejected.json")


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``/resolve``."""

    id: str
    apply: bool


class StatusPages:
    """Answer for one aggregator."""

    def __init__(self, aggregator: Aggregator, is_ending: Callable[[], bool]) -> None:
        self._aggregator = aggregator
        self._token = os.environ.get(TOKEN) or None
        self._page = page()
        self._streams = Streams(lambda keys: figures(aggregator, with_keys=keys), is_ending)
        self._paths: dict[str, Callable[[Scope], Answer]] = {
            "/": lambda _: self._page,
            "/stats.json": lambda _: as_json(aggregator.stats()),
            "/top.json": self._top,
            "/unknown.json": lambda _: as_json(_identified(aggregator.unknown())),
            "/rejected.json": lambda _: as_json(_identified(aggregator.rejected())),
            "/healthz": lambda _: said(200, "ok"),
            "/ready": self._ready,
            "/metrics": self._metrics,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        try:
            who = visitor(scope, self._token)
            if scope["path"] == "/resolve":
                response = await self._resolve(who, method, receive)
            elif scope["path"] == "/events" and method == "GET":
                await self._streams.serve(receive, send, with_keys=who.may_see_keys)
                return
            else:
                response = self._found(who, method, scope)
        except Refused as refusal:
            response = refusal.answer
        except LifecycleError as error:
            response = said(409, str(error))
        except Exception:
            log.exception("the status endpoint could not answer %s; counting goes on", scope["path"])
            response = said(500, "this could not be answered; the log says why")
        await deliver(send, response, method)

    def _found(self, who: Visitor, method: str, scope: Scope) -> Answer:
        path = scope["path"]
        if path != "/figures.json" and path not in self._paths:
            raise Refused(404, "not found: see " + ", ".join([*self._paths, "/figures.json", "/events", "/resolve"]))
        if method not in ("GET", "HEAD"):
            raise Refused(405, f"{path}: GET or HEAD only", (b"allow", b"GET, HEAD"))
        if path in KEYED and not who.may_see_keys:
            raise Refused(403, f"{path} shows keys: ask on this host, or send {TOKEN} as Authorization: Bearer")
        if path == "/figures.json":
            return as_json(figures(self._aggregator, with_keys=who.may_see_keys))
        return self._paths[path](scope)

    def _top(self, scope: Scope) -> Answer:
        asked = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        n = asked.get("n", "10")
        if not (n.isascii() and n.isdigit() and 1 <= int(n[:9]) <= TOP_MAX):
            raise Refused(400, f"n={n!r} is not allowed: a whole number from 1 to {TOP_MAX}")
        return as_json(self._aggregator.top(int(n), asked.get("table")))

    def _ready(self, scope: Scope) -> Answer:
        stats = self._aggregator.stats()
        if stats.state == "ok":
            return said(200, "ready")
        retry = "" if stats.retry_in_s is None else f"; tried again in {stats.retry_in_s:.1f} s"
        return said(503, f"{stats.state}: {stats.last_error or 'shutdown() was called'}{retry}")

    def _metrics(self, scope: Scope) -> Answer:
        try:
            from aggregator.metrics.prometheus import exposition
        except ImportError:
            raise Refused(501, "prometheus-client is not installed: pip install coodie-aggregator[metrics]") from None
        kind, body = exposition(self._aggregator, dict(scope["headers"]).get(b"accept", b"").decode("latin-1"))
        return Answer(200, kind.encode(), body)

    async def _resolve(self, who: Visitor, method: str, receive: Receive) -> Answer:
        if method != "POST":
            raise Refused(405, "/resolve: POST only", (b"allow", b"POST"))
        if not who.may_change:
            raise Refused(
                403,
                "/resolve is for the same user over a socket file (status='/path'), or for who sends "
                f"{TOKEN} as Authorization: Bearer; nothing was changed",
            )
        try:
            decision = msgspec.json.decode(await body_of(receive), type=Decision)
        except msgspec.DecodeError as error:
            raise Refused(400, f'a body as {{"id": "...", "apply": true}} is allowed: {error}') from None
        item = self._item(decision.id)
        self._aggregator.resolve(item, apply=decision.apply)
        return as_json({"id": decision.id, "apply": decision.apply, "table": item.table, "deltas": item.deltas})

    def _item(self, number: str) -> Unknown:
        for items in (self._aggregator.unknown(), self._aggregator.rejected()):
            for item in items:
                if identity(item) == number:
                    return item
        raise Refused(404, f"no item has the id {number!r}: resolved, or more was parked since; nothing was changed")


def identity(item: Unknown) -> str:
    """Return an id of exactly what is shown of an item."""
    return hashlib.blake2b(type(item).__name__.encode() + encoded(item), digest_size=8).hexdigest()


def _identified(items: Sequence[Unknown]) -> list[dict[str, Any]]:
    shown = [(item, msgspec.structs.asdict(item)) for item in items]
    return [
        {"id": identity(item)} | {name: fields[name] for name in fields if name != "version"} for item, fields in shown
    ]
