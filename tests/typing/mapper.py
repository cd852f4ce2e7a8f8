"""What a type checker tells the users of the mapper, on both faces."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, assert_type

import coodie
from coodie import aio, sync
from coodie.fields import Counter, PrimaryKey
from coodie.results import LWTResult, PagedResult


class PageHits(sync.CounterDocument):
    """The guide's table."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    unique_visitors: Annotated[int, Counter()]

    class Settings:
        name = "page_hits"


class AioHits(aio.CounterDocument):
    """The guide's table, awaited."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]

    class Settings:
        name = "page_hits"


class RootHits(coodie.CounterDocument):
    """The root's flavour is the aio one."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]


class Post(sync.Document):
    """A plain table: its fields are asked for, as pydantic does."""

    id: Annotated[int, PrimaryKey()]
    title: str = ""


def blocking() -> None:
    """Read and write, blocking."""
    page = PageHits(url="/home")
    page.increment(views=1)
    page.increment(views="1")  # type: ignore[arg-type]
    page.reset()
    assert_type(PageHits.get(url="/home"), PageHits)
    assert_type(PageHits.find_one(url="/home"), PageHits | None)
    assert_type(PageHits.find(), sync.QuerySet[PageHits])
    assert_type(PageHits.find().filter(url="/").limit(3).all(), list[PageHits])
    assert_type(PageHits.find().first(), PageHits | None)
    assert_type(PageHits.find().paged_all(), PagedResult[PageHits])
    assert_type([page.views for page in PageHits.find()], list[int])
    assert_type(PageHits.sync_table(), list[str])
    assert_type(Post.create(id=1), Post)
    assert_type(Post(id=1).insert(), LWTResult)
    assert_type(Post(id=1).update(title="t"), LWTResult | None)
    Post(title="without a key")  # type: ignore[call-arg]


async def awaited() -> None:
    """Read and write, awaited."""
    page = AioHits(url="/home")
    assert_type(page.increment(views=1), Awaitable[None])
    await page.decrement(views=1)
    await page.reset()
    assert_type(await AioHits.get(url="/home"), AioHits)
    assert_type(await AioHits.find_one(url="/home"), AioHits | None)
    assert_type(AioHits.find(url="/"), aio.QuerySet[AioHits])
    assert_type(await AioHits.find().all(), list[AioHits])
    assert_type([page.views async for page in AioHits.find()], list[int])
    assert_type(await RootHits.find().first(), RootHits | None)
