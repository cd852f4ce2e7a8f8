"""The models that the tests of the mapper share."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field

from coodie.fields import BigInt, ClusteringKey, Counter, Indexed, PrimaryKey
from coodie.sync import CounterDocument, Document


class PageHits(CounterDocument):
    """The guide's table."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    unique_visitors: Annotated[int, Counter()]

    class Settings:
        name = "page_hits"


class DailyHits(CounterDocument):
    """Counters per site and day, the latest day first."""

    site: Annotated[str, PrimaryKey(partition_key_index=0)]
    section: Annotated[UUID, PrimaryKey(partition_key_index=1)]
    day: Annotated[date, ClusteringKey(order="DESC")]
    hits: Annotated[int, Counter()]


class ExactHits(CounterDocument):
    """Counters per site and day, a row of totals for each writer."""

    site: Annotated[str, PrimaryKey()]
    day: Annotated[int, ClusteringKey()]
    views: Annotated[int, Counter()]
    likes: Annotated[int, Counter()]

    class Settings:
        counters = "exact"


class Post(Document):
    """A plain table with some of everything."""

    author: Annotated[str, PrimaryKey()]
    number: Annotated[int, ClusteringKey(), BigInt()]
    title: Annotated[str, Indexed()] = ""
    tags: set[str] = Field(default_factory=set)
    notes: dict[str, int] = Field(default_factory=dict)
    price: Decimal | None = None
    written: datetime | None = None
    motto: str | None = None

    class Settings:
        name = "posts"
