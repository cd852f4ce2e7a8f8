"""The guide's model on each face, for tests that count page hits."""

from __future__ import annotations

from typing import Annotated

import coodie.aio
import coodie.sync
from coodie.fields import Counter, PrimaryKey


class PageHits(coodie.sync.CounterDocument):
    """The guide's model."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    unique_visitors: Annotated[int, Counter()]

    class Settings:
        name = "page_hits"


class AsyncPageHits(coodie.aio.CounterDocument):
    """The same table, on the other face."""

    url: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    unique_visitors: Annotated[int, Counter()]

    class Settings:
        name = "page_hits"
