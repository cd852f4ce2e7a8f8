"""The tables that histories count in: native and exact ones, on a cluster and in an embedded store."""

from __future__ import annotations

from typing import Annotated

import coodie.sync
from coodie.fields import ClusteringKey, Counter, PrimaryKey


class Hits(coodie.sync.CounterDocument):
    site: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    visits: Annotated[int, Counter()]

    class Settings:
        name = "hits"
        connection = "cluster"


class ExactHits(coodie.sync.CounterDocument):
    site: Annotated[str, PrimaryKey()]
    day: Annotated[int, ClusteringKey()]
    views: Annotated[int, Counter()]
    visits: Annotated[int, Counter()]

    class Settings:
        name = "exact_hits"
        connection = "cluster"
        counters = "exact"


class Plays(coodie.sync.CounterDocument):
    site: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]
    visits: Annotated[int, Counter()]

    class Settings:
        name = "plays"
        connection = "embedded"


class Likes(coodie.sync.CounterDocument):
    site: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]

    class Settings:
        name = "likes"
        connection = "embedded"


class ExactPlays(coodie.sync.CounterDocument):
    site: Annotated[str, PrimaryKey()]
    views: Annotated[int, Counter()]

    class Settings:
        name = "exact_plays"
        connection = "embedded"
        counters = "exact"


MODELS = (Hits, ExactHits, Plays, Likes, ExactPlays)
