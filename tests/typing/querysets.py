"""What a type checker tells of QuerySets, their builders and their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_type

from coodie import LWTResult, PagedResult, aio, sync
from tests.typing.mapper import AioHits, AioPost, PageHits, Post, RootHits


def built() -> None:
    """Build QuerySets."""
    pages = PageHits.find(url="/")
    assert_type(pages, sync.QuerySet[PageHits])
    assert_type(AioHits.find(url="/"), aio.QuerySet[AioHits])
    assert_type(sync.QuerySet(Post), sync.QuerySet[Post])
    chained = pages.filter(url__in=["/a"]).limit(3).order_by("-url").allow_filtering().fetch_size(5).page(None)
    assert_type(chained, sync.QuerySet[PageHits])
    written = pages.ttl(5).timestamp(1).consistency("ONE").timeout(1.5).using(ttl=5).if_exists().if_not_exists()
    assert_type(written, sync.QuerySet[PageHits])
    selected = pages.only("url").defer("views").distinct().group_by("url").per_partition_limit(1).cast("views", "text")
    assert_type(selected.validate(enabled=False), sync.QuerySet[PageHits])
    assert_type(pages.values_list("url"), sync.QuerySet[tuple[Any, ...]])
    assert_type(pages.limit(3).select_token("url"), sync.QuerySet[tuple[Any, ...]])
    pages.limit("3")  # type: ignore[arg-type]  # must not be accepted
    pages.like("a")  # type: ignore[attr-defined]  # must not be accepted


def answered() -> None:
    """Ask QuerySets, blocking."""
    pages = PageHits.find()
    assert_type(pages.all(), list[PageHits])
    assert_type(pages.first(), PageHits | None)
    assert_type(pages.paged_all(), PagedResult[PageHits])
    assert_type(pages.paged_all().data, list[PageHits])
    assert_type(pages.paged_all().paging_state, bytes | None)
    assert_type([page.views for page in pages], list[int])
    assert_type(len(pages), int)
    assert_type(pages.count(), int)
    assert_type(pages.json(), list[str])
    assert_type(pages.aggregate(total="sum(views)"), dict[str, Any])
    assert_type(pages.writetime("views"), int | None)
    assert_type(pages.values_list("url").all(), list[tuple[Any, ...]])
    assert_type(pages.values_list("url").first(), tuple[Any, ...] | None)
    assert_type([row for row in pages.values_list("url")], list[tuple[Any, ...]])  # noqa: C416 - iterated, as users do
    assert_type(Post.find(id=1).update(title="t", ttl=5), LWTResult | None)
    assert_type(Post.find(id=1).delete(if_conditions={"title": "t"}), LWTResult | None)
    assert_type(Post.find().if_not_exists().create(id=1), LWTResult | None)
    pages.all().url  # type: ignore[attr-defined]  # a list is no page  # noqa: B018 - the look-up is the test


async def awaited() -> None:
    """Ask QuerySets, awaited."""
    pages = AioHits.find()
    assert_type(await pages.all(), list[AioHits])
    assert_type(await pages.first(), AioHits | None)
    assert_type(await pages.paged_all(), PagedResult[AioHits])
    assert_type([page.views async for page in pages], list[int])
    assert_type(await pages.count(), int)
    assert_type(await pages.json(), list[str])
    assert_type(await pages.aggregate(total="sum(views)"), dict[str, Any])
    assert_type(await pages.values_list("url").all(), list[tuple[Any, ...]])
    assert_type([row async for row in pages.values_list("url")], list[tuple[Any, ...]])
    assert_type(await AioPost.find(id=1).update(title="t"), LWTResult | None)
    assert_type(await AioPost.find(id=1).delete(), LWTResult | None)
    assert_type(await AioPost.find().create(id=1), LWTResult | None)
    assert_type(await RootHits.find().first(), RootHits | None)
    for page in pages:  # type: ignore[attr-defined]  # must not be accepted
        del page
    len(pages)  # type: ignore[arg-type]  # must not be accepted


def repeated(pages: sync.QuerySet[PageHits]) -> Sequence[str]:
    """Name the type of a QuerySet in a signature."""
    return [page.url for page in pages.filter(url__gt="/")]
