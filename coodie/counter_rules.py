"""
What every ``CounterDocument`` refuses or warns of, on both faces.

Rules that live here: a counter changes by ``increment`` and ``decrement`` alone. Refusals are raised when the method is
called, on the aio face too, before anything could be awaited; those of ``delete`` and ``reset``, which are for some
tables only, when they are awaited.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from coodie import counters
from coodie.exceptions import InvalidQueryError
from coodie.model import Model
from coodie.schema import not_started, table_of

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass

    T = TypeVar("T")

    class _CounterMeta(ModelMetaclass):
        """Keeps type checkers from asking for every counter: they see no default in ``Annotated[int, Counter()]``."""

        def __call__(cls: type[T], /, **fields: Any) -> T: ...  # noqa: N805 - a metaclass's instance is a class
else:
    _CounterMeta = type(Model)


def refuse(method: str) -> NoReturn:
    """Raise the refusal of a method that would set a counter."""
    raise InvalidQueryError(f"Counter tables do not support {method}(). Use increment() or decrement() instead.")


class CounterRules(Model, metaclass=_CounterMeta):
    """The part of ``CounterDocument`` that both faces share."""

    __coodie_counters__: ClassVar[bool] = True

    if TYPE_CHECKING:  # see _CounterMeta; mypy asks for this one, others for its __call__

        def __init__(self, /, **fields: Any) -> None: ...

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Keep compiled increments of a parent class from being inherited, then check the class."""
        super().__pydantic_init_subclass__(**kwargs)
        counters.shield(cls)

    @classmethod
    def create(cls, /, **fields: Any) -> NoReturn:
        """Refuse: a counter row comes into being with its first increment."""
        refuse("save")

    def save(
        self,
        ttl: int | None = None,
        timestamp: int | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
        batch: Any = None,
    ) -> NoReturn:
        """Refuse: counters cannot be set."""
        refuse("save")

    def insert(
        self,
        ttl: int | None = None,
        timestamp: int | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
        batch: Any = None,
    ) -> NoReturn:
        """Refuse: counters cannot be inserted."""
        refuse("insert")

    def save_json(
        self,
        ttl: int | None = None,
        timestamp: int | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
    ) -> NoReturn:
        """Refuse: counters cannot be set."""
        refuse("save_json")

    def update(
        self,
        /,
        *,
        if_conditions: Mapping[str, Any] | None = None,
        if_exists: bool = False,
        ttl: int | None = None,
        **changes: Any,
    ) -> NoReturn:
        """Refuse: counters cannot be set."""
        refuse("update")

    def delete_columns(
        self,
        *names: str,
        timestamp: int | None = None,
        consistency: str | None = None,
        timeout: float | None = None,
        batch: Any = None,
        collection_elements: Iterable[tuple[str, Any]] | None = None,
    ) -> NoReturn:
        """Refuse: a deleted counter is not a counter at zero."""
        refuse("delete_columns")

    @classmethod
    def _pending_reader(cls) -> Callable[[tuple[Any, ...]], Mapping[str, int] | None] | None:
        sink = counters.sink
        return partial(sink.pending, cls) if sink is not None else None

    @classmethod
    def _halt_counting(cls) -> Awaitable[None] | None:
        return None if counters.sink is None else counters.sink.halt(cls)

    @classmethod
    @contextmanager
    def _emptying(cls) -> Iterator[None]:
        sink = counters.sink
        try:
            yield
        except BaseException:
            if sink is not None:
                sink.resume(cls)
            raise
        if sink is not None:
            sink.forget(cls)

    def _about_to_reset(self) -> counters.IncrementSink:
        """Return the sink that a reset goes through, refusing it where there is none, or on a native table."""
        table = table_of(type(self))
        if table.counters != "exact":
            raise InvalidQueryError(
                f"reset() needs an exact table, and {table.name} is {table.counters}: decrement its counters by their "
                "values, or truncate the table; nothing was written"
            )
        if counters.sink is None:
            raise not_started(table)
        return counters.sink

    @classmethod
    def _about_to_delete(cls) -> None:
        if table_of(cls).counters == "exact":
            raise InvalidQueryError(
                f"A row of the exact table {cls.table_name()} cannot be deleted: its writers would write it again. "
                "Use reset() to bring its counters to 0, or truncate the table; nothing was written"
            )
        warnings.warn(
            f"A deleted counter is not a counter at zero: on Cassandra the next increment of this row of "
            f"{cls.table_name()} may bring its old value back, on ScyllaDB it is lost for good. Decrement the "
            "counters by their values instead, or truncate the table",
            UserWarning,
            stacklevel=3,
        )
