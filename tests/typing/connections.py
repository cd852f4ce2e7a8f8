"""What a type checker tells of connecting, texts, batches, errors, and drivers that users write themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_type

import coodie
from coodie import AsyncBatchQuery, BatchQuery, LWTResult, aio, sync
from coodie.drivers import AbstractDriver, get_driver, register_driver
from coodie.exceptions import ConfigurationError, CoodieError, DriverError, InvalidQueryError, MaybeApplied
from tests.typing.mapper import AioPost, Post


def connected() -> None:
    """Connect, and send texts, blocking."""
    sync.init_coodie(hosts=["127.0.0.1"], keyspace="my_ks", port=9042)
    sync.init_coodie(driver_type="sqlite", database=":memory:")
    sync.init_coodie(hosts=1)  # type: ignore[arg-type]  # must not be accepted
    assert_type(sync.execute_raw("SELECT 1", [1]), list[dict[str, Any]])
    sync.create_keyspace("ks", dc_replication_map={"dc1": 3})
    sync.drop_keyspace("ks", connection="other")


async def connected_async() -> None:
    """Connect, and send texts, awaited."""
    await aio.init_coodie(hosts=["127.0.0.1"], keyspace="my_ks", ssl_enabled=True)
    await coodie.init_coodie(driver_type="sqlite", database=":memory:")
    assert_type(await coodie.execute_raw("SELECT 1"), list[dict[str, Any]])
    await aio.create_keyspace("ks", 3)
    await aio.drop_keyspace("ks")


def named() -> None:
    """Reach modules through their packages; a name that does not exist is told."""
    assert_type(coodie.exceptions.NotApplied("x").host, str | None)
    assert_type(coodie.sync.document.Document.table_name(), str)
    assert_type(coodie.aio.query.QuerySet(AioPost), aio.QuerySet[AioPost])
    coodie.Documnt  # type: ignore[attr-defined]  # noqa: B018 - the look-up is the test
    coodie.sync.Documnt  # type: ignore[attr-defined]  # noqa: B018 - likewise
    coodie.drivers.get_drivers  # type: ignore[attr-defined]  # noqa: B018 - likewise


def batched() -> None:
    """Send several writes at once."""
    with BatchQuery(logged=False, timestamp=1) as batch:
        assert_type(batch, BatchQuery)
        Post(id=1).save(batch=batch)
        Post(id=1).insert(batch=batch)
        Post(id=1).delete(batch=batch)
        batch.add("UPDATE t SET a = ? WHERE k = ?", [1, 2])
    assert_type(batch.result, LWTResult | None)
    assert_type(batch.execute(), LWTResult | None)
    Post(id=1).save(batch=1)  # type: ignore[arg-type]  # must not be accepted


async def batched_async() -> None:
    """Send several writes at once, awaited."""
    async with AsyncBatchQuery(batch_type="COUNTER") as batch:
        assert_type(batch, AsyncBatchQuery)
        await AioPost(id=1).save(batch=batch)
    assert_type(await batch.execute(), LWTResult | None)
    with batch:  # type: ignore[attr-defined]  # must not be accepted
        pass


class Fake(AbstractDriver):
    """A user's own driver: ``execute`` is all there is to write."""

    def execute(
        self,
        stmt: str,
        params: Sequence[Any],
        consistency: str | None = None,
        timeout: float | None = None,
        fetch_size: int | None = None,
        paging_state: bytes | None = None,
    ) -> list[dict[str, Any]]:
        """Answer nothing."""
        return []


def registered() -> None:
    """Register a driver."""
    register_driver("fake", Fake(), default=True)
    assert_type(Fake().execute_one("SELECT 1", []), Any)
    get_driver("fake").close()
    AbstractDriver()  # type: ignore[abstract]  # must not be accepted


def failed() -> str | None:
    """Handle errors by what may be done next."""
    try:
        Post(id=1).save()
    except MaybeApplied as error:
        assert_type(error.statement, str | None)
        return error.host
    except (DriverError, ConfigurationError, InvalidQueryError) as error:
        return str(error)
    except CoodieError:
        raise
    return None
