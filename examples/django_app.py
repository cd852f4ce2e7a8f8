"""
Count page hits in a Django project of one file; a page that fails counts nothing, an order counts with its transaction.

Run: gunicorn --workers 2 --threads 4 examples.django_app:application
     python examples/django_app.py runserver
     COODIE_HOSTS=127.0.0.1 COODIE_KEYSPACE=web gunicorn --workers 2 examples.django_app:application

GET /any/page counts a hit; GET /hits/any/page answers the total stored so far; GET /order/done or /order/undone counts
an order, or rolls it back; GET /broken fails.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Annotated

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(
    SECRET_KEY="change me",  # noqa: S106 - an example's
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["aggregator.integrations.django"],
    MIDDLEWARE=["aggregator.integrations.django.AggregatorMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "orders.db"}},
    AGGREGATOR={"connection": {}, "flush_interval": 1.0, "discard_on_error": True},  # {}: COODIE_HOSTS, or a file
)
django.setup()

from aggregator.integrations.django import increment_on_commit  # noqa: E402 - as in the modules of a project
from coodie.fields import Counter, PrimaryKey  # noqa: E402 - likewise
from coodie.sync import CounterDocument  # noqa: E402 - likewise


class PageHits(CounterDocument):
    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()] = 0

    class Settings:
        name = "page_hits"


PageHits.sync_table()


def hits(request: HttpRequest, name: str) -> HttpResponse:
    """Answer the total of a page as the database has it."""
    found = PageHits.find_one(url=f"/{name}")
    return HttpResponse(found.views if found else 0)


def order(request: HttpRequest, end: str) -> HttpResponse:
    """Count an order if its transaction commits."""
    with suppress(LookupError), transaction.atomic():
        increment_on_commit(PageHits(url="/order"), views=1)
        if end == "undone":
            raise LookupError("out of stock")
    return HttpResponse(end)


def page(request: HttpRequest, name: str) -> HttpResponse:
    """Count a hit: memory only, no round trip."""
    PageHits(url=f"/{name}").increment(views=1)
    return HttpResponse(f"this is /{name}", status=500 if name == "broken" else 200)


urlpatterns = [path("hits/<path:name>", hits), path("order/<str:end>", order), path("<path:name>", page)]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
