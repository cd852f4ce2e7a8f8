"""
The builders that both QuerySets share: each returns a new QuerySet and leaves its own alone.

Rules that live here: names, numbers and values are checked where they are written, before any round trip; whether what
was chosen goes together is checked when the query is run.
"""

from __future__ import annotations

from typing import Any, Generic, NoReturn, Self, TypeVar

from coodie import options
from coodie.exceptions import InvalidQueryError
from coodie.lookups import column_named, refuse_null
from coodie.query import EVERYTHING, Query
from coodie.schema import Table, table_of

D = TypeVar("D")

_NUMBERS = ("tinyint", "smallint", "int", "bigint", "varint", "decimal", "float", "double")
_TEXTS = ("ascii", "text")
_CASTS = {
    **dict.fromkeys(_NUMBERS, (*_NUMBERS, *_TEXTS)),
    **dict.fromkeys(("boolean", "inet", "time", "uuid", "ascii"), _TEXTS),
    **dict.fromkeys(("date", "timeuuid"), (*_TEXTS, "date", "timestamp")),
    "timestamp": (*_TEXTS, "date", "timestamp", "bigint", "varint"),
    "text": ("text",),
}
"""
What each type is cast to. Cassandra takes two more: a ``bigint`` as a ``date``, and an ``int`` as a ``timestamp``. Of
the latter no client can read the answer: cassandra-driver gives up its connection over it.
"""


class QueryBuilder(Generic[D]):
    """The builder half of a QuerySet: each method returns a new one."""

    def __init__(self, model: Any, query: Query = EVERYTHING) -> None:
        self._model = model
        self._query = query

    def __repr__(self) -> str:
        return f"<QuerySet of {self._model.__name__}: {self._query.outline() or 'every row'}>"

    def _with(self, **changes: Any) -> Self:
        return type(self)(self._model, self._query.changed(**changes))

    # --- which rows -----------------------------------------------------------------------------------------------

    def filter(self, /, **lookups: Any) -> Self:
        """
        Narrow to rows that match every lookup.

        A lookup is ``column=value``, or ``column__op`` with one of gt, gte, lt, lte, ne, in (a list), contains,
        contains_key, like (``%`` for any text) and token__gt, token__gte, token__lt, token__lte (a token, an integer).
        Raises ``InvalidQueryError`` for an unknown column, a counter, or a value the column cannot hold.
        """
        return type(self)(self._model, self._query.narrowed(table_of(self._model), lookups))

    def is_null(self, column: str) -> NoReturn:
        """Refuse: CQL cannot filter for nulls."""
        refuse_null(column_named(table_of(self._model), column))

    def is_not_null(self, column: str) -> NoReturn:
        """Refuse: CQL cannot filter for nulls."""
        refuse_null(column_named(table_of(self._model), column))

    def limit(self, n: int) -> Self:
        """Return at most ``n`` rows, 1 or more."""
        return self._with(limit=options.positive("limit", n))

    def per_partition_limit(self, n: int) -> Self:
        """Return at most ``n`` rows of each partition, 1 or more."""
        return self._with(per_partition_limit=options.positive("per_partition_limit", n))

    def order_by(self, *columns: str) -> Self:
        """Sort by clustering columns, ``-column`` for descending; replaces an earlier order."""
        table = table_of(self._model)
        return self._with(order=tuple(_ordering(table, column) for column in columns))

    def group_by(self, *columns: str) -> Self:
        """Return the first row of each group; ``columns`` are the first ones of the primary key, in its order."""
        return self._with(group_by=_group(table_of(self._model), columns))

    def distinct(self) -> Self:
        """Return one row for each partition; it has the partition key and, where chosen, static columns."""
        return self._with(distinct=True)

    def allow_filtering(self) -> Self:
        """Let the database read more rows than it returns."""
        return self._with(allow_filtering=True)

    # --- what of them ---------------------------------------------------------------------------------------------

    def only(self, *columns: str) -> Self:
        """Read these columns alone; the other fields of the documents do not exist (AttributeError)."""
        return self._with(columns=tuple(dict.fromkeys(_named(table_of(self._model), "only", columns))))

    def defer(self, *columns: str) -> Self:
        """Read all columns but these, whose fields do not exist (AttributeError)."""
        table = table_of(self._model)
        left_out = _named(table, "defer", columns)
        kept = [name for name in self._query.columns or table.by_name if name not in left_out]
        return self._with(columns=tuple(_named(table, "defer() leaves nothing: only", kept)))

    def cast(self, column: str, cql_type: str) -> Self:
        """Read a column as the database casts it, e.g. ``"text"``; the value is not validated."""
        table = table_of(self._model)
        if table.counters:
            raise InvalidQueryError(f"Cannot cast columns of {table.name}: counters are read as the integers they are")
        found, wanted = column_named(table, column), str(cql_type).lower()
        allowed = _CASTS.get(found.cql_type, ())
        if wanted not in allowed:
            raise InvalidQueryError(
                f"Cannot cast '{found.name}' ({found.cql_type}) to {cql_type!r}; allowed: "
                f"{', '.join(allowed) or 'nothing'}"
            )
        return self._with(casts=tuple({**dict(self._query.casts), found.name: wanted}.items()))

    def _tuples(self, columns: tuple[str, ...]) -> Any:
        if columns:
            _named(table_of(self._model), "values_list", columns)
        return self._with(columns=columns or self._query.columns or None, as_tuples=True)

    def _tokens(self, columns: tuple[str, ...]) -> Any:
        table = table_of(self._model)
        key = tuple(column.name for column in table.partition_key)
        if columns != key:
            raise InvalidQueryError(
                f"select_token() takes the whole partition key of {table.name} in its order ({', '.join(key)}), not "
                f"({', '.join(map(str, columns))})"
            )
        beside = self._query.columns if self._query.as_tuples else self._query.columns or ()
        return self._with(tokens=columns, as_tuples=True, columns=beside)

    def validate(self, enabled: bool = True) -> Self:
        """Change nothing: documents are always validated."""
        return self._with()

    # --- how it is sent -------------------------------------------------------------------------------------------

    def fetch_size(self, n: int) -> Self:
        """Fetch pages of at most ``n`` rows, 1 or more."""
        return self._with(fetch_size=options.positive("fetch_size", n))

    def page(self, state: bytes | None) -> Self:
        """Continue after an earlier page, named by its ``PagedResult.paging_state``; None starts over."""
        if state is not None and not isinstance(state, bytes):
            raise InvalidQueryError(f"page takes the paging_state of a PagedResult, not {type(state).__name__}")
        return self._with(page=state)

    def consistency(self, name: str) -> Self:
        """Read and write at a consistency level, e.g. ``"LOCAL_QUORUM"``."""
        return self._with(consistency=options.consistency_level(name))

    def timeout(self, seconds: float) -> Self:
        """Give up waiting for the database after ``seconds``, more than 0."""
        return self._with(timeout=options.timeout(seconds))

    def ttl(self, seconds: int) -> Self:
        """Let what is written expire after ``seconds``; 0: never."""
        return self._with(ttl=options.time_to_live(seconds))

    def timestamp(self, microseconds: int) -> Self:
        """Write as of this time, in us since 1970: of two writes to a column the later one stays."""
        return self._with(timestamp=options.timestamp(microseconds))

    def using(
        self,
        *,
        ttl: int | None = None,
        timestamp: int | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Set several of :meth:`ttl`, :meth:`timestamp`, :meth:`consistency` and :meth:`timeout`; None: as it was."""
        found = self if ttl is None else self.ttl(ttl)
        found = found if timestamp is None else found.timestamp(timestamp)
        found = found if consistency is None else found.consistency(consistency)
        return found if timeout is None else found.timeout(timeout)

    def if_exists(self) -> Self:
        """Update or delete only if the row exists."""
        return self._with(if_exists=True)

    def if_not_exists(self) -> Self:
        """Create only if the row does not exist."""
        return self._with(if_not_exists=True)


def _named(table: Table, method: str, names: Any) -> Any:
    if not names:
        raise InvalidQueryError(f"{method}() names at least one column of {table.name}: {', '.join(table.by_name)}")
    for name in names:
        column_named(table, name)
    return names


def _ordering(table: Table, name: str) -> tuple[str, bool]:
    column = column_named(table, name.removeprefix("-"))
    if column.clustering_index is None:
        allowed = ", ".join(c.name for c in table.clustering) or "none"
        raise InvalidQueryError(f"Cannot order by '{column.name}': only clustering columns have an order ({allowed})")
    return column.name, name.startswith("-")


def _group(table: Table, names: tuple[str, ...]) -> tuple[str, ...]:
    key = [column.name for column in table.primary_key]
    places = [key.index(column_named(table, name).name) for name in names if column_named(table, name).is_key]
    if not names or len(places) != len(names) or places != sorted(set(places)):
        raise InvalidQueryError(
            f"group_by() takes columns of the primary key in its order ({', '.join(key)}), not ({', '.join(names)})"
        )
    return names
