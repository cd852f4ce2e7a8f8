"""The guide's counters, as the tests of counters share them."""

from __future__ import annotations

from typing import Annotated, Any

from coodie.fields import Counter, PrimaryKey
from tests.contract.stores import Store, fresh


def page_hits(store: Store) -> Any:
    """Return the guide's model on a table of its own."""

    class PageHits(store.face.CounterDocument):  # type: ignore[name-defined,misc]  # a face chosen at run time
        url: Annotated[str, PrimaryKey()]
        views: Annotated[int, Counter()]
        unique_visitors: Annotated[int, Counter()]

        class Settings:
            name = fresh("page_hits")

    return PageHits
