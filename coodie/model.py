"""
The pydantic base shared by both faces, and the way from a row to an instance.

Rules that live here:

* Rows are validated: pydantic's compiled validator called directly (0.42 us for three columns) is faster than any way
  around it (0.59 us by hand, 1.9 us with ``model_construct``), and gives declared types whatever the driver returned.
* Nothing may be added to instances (slots, private attributes, an ``__init__``): it would make construction, which is
  most of the cost of a buffered increment, two to four times slower.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar, cast, get_origin

from pydantic import BaseModel, ConfigDict

from coodie.fields import Counter
from coodie.schema import is_abstract, table_of

_EMPTY_WHEN_NULL = (list, set, dict, frozenset)
"""A database does not tell an empty collection from none; an instance always holds the empty one."""


class Model(BaseModel):
    """A table as a class, a row as an instance. Derive from ``Document`` or ``CounterDocument`` of a face instead."""

    model_config = ConfigDict(
        arbitrary_types_allowed=True, use_enum_values=True, populate_by_name=True, revalidate_instances="never"
    )

    __coodie_counters__: ClassVar[bool] = False

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a counter class that cannot be a table, as soon as it is made."""
        super().__pydantic_init_subclass__(**kwargs)
        if not cls.__coodie_counters__ or is_abstract(cls):
            return
        _show_counter_defaults(cls)
        # A class whose annotations are not resolved yet, or that has no fields at all (a base that only adds methods),
        # is judged at its first use.
        if cls.__pydantic_complete__ and cls.model_fields:
            table_of(cls)

    @classmethod
    def table_name(cls) -> str:
        """Return the name of the table, without its keyspace."""
        return table_of(cls).name

    @classmethod
    def _pending_reader(cls) -> Callable[[tuple[Any, ...]], Mapping[str, int] | None] | None:
        """Return what tells the buffered deltas of a row, or None where reads show what is stored."""
        return None

    @classmethod
    def _halt_counting(cls) -> Awaitable[None] | None:
        """Have whatever buffers counters of the table stop writing, and wait for what it has sent (a counter table)."""
        return None

    @classmethod
    @contextmanager
    def _emptying(cls) -> Iterator[None]:
        """Empty the table in the block, counting halted: then what was buffered of it is forgotten."""
        yield

    def _about_to_delete(self) -> None:
        """Say what the caller of ``delete()`` should know."""


M = TypeVar("M", bound=Model)


def document_of(model: type[M], row: Mapping[str, Any]) -> M:
    """
    Return the instance a row is.

    A null becomes 0 in a counter, the empty collection in a collection, and the field's default where it has one.
    Raises pydantic's ``ValidationError`` when the row does not fit the class.
    """
    if None in row.values():
        row = _without_nulls(model, row)
    return cast(M, model.__pydantic_validator__.validate_python(row))


def _without_nulls(model: type[M], row: Mapping[str, Any]) -> dict[str, Any]:
    columns = table_of(model).by_name
    full = {}
    for name in row.keys() & columns.keys():
        column, value = columns[name], row[name]
        if value is None and (kind := get_origin(column.annotation)) in _EMPTY_WHEN_NULL:
            full[name] = kind()
        elif value is not None or (column.optional and not column.counter):
            full[name] = value
    return full


def _show_counter_defaults(model: type[Model]) -> None:
    """Let the signature and the repr of the class show the 0 that ``Counter`` put into its validator."""
    for info in model.model_fields.values():
        if info.is_required() and any(isinstance(marker, Counter) for marker in info.metadata):
            info.default = 0
