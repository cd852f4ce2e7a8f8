"""A Django project in one file that counts each page and answers the process that served it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from tests.servers.hits import CONNECTION, OPTIONS, AioHits, Hits

ENDING = {
    name.lower(): value == "True" if value in ("True", "False") else value
    for name in ("ON_TEARDOWN", "DISCARD_ON_ERROR")
    if (value := os.environ.get(name))
}
settings.configure(
    SECRET_KEY="of no use",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["aggregator.integrations.django"],
    MIDDLEWARE=["aggregator.integrations.django.AggregatorMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path("orders.db")}},
    AGGREGATOR={"connection": CONNECTION, **OPTIONS, **ENDING},
)
django.setup()

from aggregator.integrations.django import increment_on_commit, with_lifespan  # noqa: E402 - as in a user's modules

Hits.sync_table()


class Undone(Exception):
    """Ends a transaction."""


def order(request: HttpRequest, end: str) -> HttpResponse:
    """Count an order that is committed, or rolled back."""
    with suppress(Undone), transaction.atomic():
        increment_on_commit(Hits(url=f"/order/{end}"), views=1)
        increment_on_commit(AioHits(url=f"/order/{end}"), views=1)
        if end == "undone":
            raise Undone
    return HttpResponse(os.getpid())


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Count while the response is on its way."""

    def chunks() -> Iterator[str]:
        for chunk in ("one", "two"):
            Hits(url="/stream").increment(views=1)
            yield chunk

    return StreamingHttpResponse(chunks())


async def page_async(request: HttpRequest, name: str) -> HttpResponse:
    await asyncio.sleep(0)
    await AioHits(url=f"/async/{name}").increment(views=1)
    return _answered(name)


def page(request: HttpRequest, name: str) -> HttpResponse:
    Hits(url=f"/{name}").increment(views=1)
    return _answered(name)


def _answered(name: str) -> HttpResponse:
    if name == "unavailable":
        return HttpResponse(status=503)
    if name == "broken":
        raise RuntimeError("a broken page")
    return HttpResponse(os.getpid())


urlpatterns: list[Any] = [
    path("order/<str:end>", order),
    path("stream", stream),
    path("async/<str:name>", page_async),
    path("<str:name>", page),
]
wsgi = get_wsgi_application()
asgi = with_lifespan(get_asgi_application())
asgi_without_lifespan = get_asgi_application()
