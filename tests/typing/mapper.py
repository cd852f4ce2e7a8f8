"""What a type checker tells the users of documents, on both faces."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, assert_type

import coodie
from coodie import aio, sync
from coodie.fields import BigInt, ClusteringKey, Counter, PrimaryKey
from coodie.results import LWTResult


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
    number: Annotated[int, ClusteringKey(order="DESC"), BigInt()] = 0
    title: str = ""
    tags: set[str] = set()


class AioPost(aio.Document):
    """The same, awaited."""

    id: Annotated[int, PrimaryKey()]
    title: str = ""


def blocking() -> None:
    """Read and write, blocking."""
    page = PageHits(url="/home")
    assert_type(page.views, int)
    page.increment(views=1)
    page.decrement(views=1)
    page.increment(views="1")  # type: ignore[arg-type]  # must not be accepted
    page.reset()
    assert_type(PageHits.get(url="/home"), PageHits)
    assert_type(PageHits.find_one(url="/home"), PageHits | None)
    assert_type(PageHits.sync_table(), list[str])
    assert_type(PageHits.sync_table(dry_run=True, drop_removed_indexes=True), list[str])
    assert_type(PageHits.table_name(), str)
    page.title  # type: ignore[attr-defined]  # must not be accepted  # noqa: B018 - the look-up is the test
    assert_type(Post.create(id=1), Post)
    Post(title="without a key")  # type: ignore[call-arg]  # must not be accepted
    Post(id="one")  # type: ignore[arg-type]  # must not be accepted
    Post(id=1).title = 5  # type: ignore[assignment]  # must not be accepted


def written() -> None:
    """Write with options and conditions, blocking."""
    post = Post(id=1, tags={"a"})
    post.save(ttl=60, timestamp=1, consistency="QUORUM", timeout=1.5)
    post.save(ttl="60")  # type: ignore[arg-type]  # must not be accepted
    post.save_json(ttl=60)
    assert_type(post.insert(ttl=60), LWTResult)
    assert_type(post.update(title="t", tags__add={"b"}), LWTResult | None)
    assert_type(post.update(if_conditions={"title": "t"}, ttl=5, title="u"), LWTResult | None)
    assert_type(post.delete(if_exists=True), LWTResult | None)
    post.delete_columns("title", timestamp=1, collection_elements=[("tags", "a")])
    post.drop_table()
    post.truncate()


async def awaited() -> None:
    """Read and write, awaited."""
    page = AioHits(url="/home")
    assert_type(page.increment(views=1), Awaitable[None])
    await page.decrement(views=1)
    await page.increment(views="1")  # type: ignore[arg-type]  # must not be accepted
    await page.reset()
    assert_type(await AioHits.get(url="/home"), AioHits)
    assert_type(await AioHits.find_one(url="/home"), AioHits | None)
    assert_type(await AioHits.sync_table(), list[str])
    assert_type(await RootHits.get(url="/"), RootHits)
    AioHits.get(url="/home").views  # type: ignore[attr-defined]  # not awaited  # noqa: B018 - likewise
    post = await AioPost.create(id=1)
    assert_type(post, AioPost)
    await post.save(ttl=60)
    assert_type(await post.insert(), LWTResult)
    assert_type(await post.update(title="t"), LWTResult | None)
    assert_type(await post.delete(if_conditions={"title": "t"}), LWTResult | None)
    await post.delete_columns("title")
