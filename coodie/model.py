"""
The pydantic base shared by both faces, and the way from a row to an instance.

Rules that live here:

* Rows are validated: pydantic's compiled validator called directly (0.42 us for three columns) is faster than any way
  around it (0.59 us by hand, 1.9 us with ``model_construct``), and gives declared types whatever the driver returned.
* A document of some columns alone is validated by those fields of the class, their own validators included; validators
  of the whole class do not run.
* Nothing may be added to instances (slots, private attributes, an ``__init__``): it would make construction, which is
  most of the cost of a buffered increment, two to four times slower.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from enum import Enum
from functools import lru_cache
from typing import Any, ClassVar, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticUndefined, SchemaValidator, core_schema

from coodie.fields import Counter
from coodie.schema import Column, is_abstract, table_of

_EMPTY_WHEN_NULL = (list, set, dict, frozenset)
"""A database does not tell an empty collection from none; an instance always holds the empty one."""


class Model(BaseModel):
    """A table as a class, a row as an instance. Derive from ``Document`` or ``CounterDocument`` of a face instead."""

    model_config = ConfigDict(
        arbitrary_types_allowed=True, use_enum_values=True, populate_by_name=True, revalidate_instances="never"
    )

    __coodie_counters__: ClassVar[bool] = False
    __coodie_resolved__: ClassVar[Any] = None  # kept by ``coodie.connections``

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a counter class that cannot be a table, as soon as it is made."""
        super().__pydantic_init_subclass__(**kwargs)
        _hold_enum_defaults_by_value(cls)
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

    @classmethod
    def _about_to_delete(cls) -> None:
        """Say what the caller of ``delete()`` should know."""


M = TypeVar("M", bound=Model)


def document_of(model: type[M], row: Mapping[str, Any]) -> M:
    """
    Return the instance a row is.

    A null becomes 0 in a counter, the empty collection in a collection, and the field's default where it has one.
    Raises pydantic's ``ValidationError`` when the row does not fit the class.
    """
    given = _without_nulls(model, row) if None in map(row.get, _never_null(model)) else row
    return model.__pydantic_validator__.validate_python(given)  # type: ignore[no-any-return]  # by its schema


def documents_of(model: type[M], rows: Iterable[Mapping[str, Any]]) -> list[M]:
    """Return the instances that rows are; see :func:`document_of`."""
    validate = model.__pydantic_validator__.validate_python
    names = _never_null(model)
    return [validate(_without_nulls(model, row) if None in map(row.get, names) else row) for row in rows]


def partial_documents(
    model: type[M], names: Iterable[str], rows: Iterable[Mapping[str, Any]], unchecked: frozenset[str] = frozenset()
) -> list[M]:
    """
    Return instances that have some of their fields alone; another one is an AttributeError.

    Those ``unchecked`` hold what the row holds. Raises pydantic's ``ValidationError`` as :func:`document_of` does.
    """
    checked = tuple(name for name in names if name not in unchecked)
    validate = _part(model, checked).validate_python
    documents = []
    for row in rows:
        given = {name: row[name] for name in checked}
        fields, extra, given_names = validate(_without_nulls(model, given) if None in given.values() else given)
        fields.update((name, row[name]) for name in unchecked)
        document = object.__new__(model)
        object.__setattr__(document, "__dict__", fields)
        object.__setattr__(document, "__pydantic_fields_set__", given_names | unchecked)
        object.__setattr__(document, "__pydantic_extra__", extra)
        object.__setattr__(document, "__pydantic_private__", _private_state(model))
        documents.append(document)
    return documents


def checked_fields(model: type[Model], fields: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return values of some fields as an instance read with them would hold them, checked by those fields alone.

    Raises pydantic's ``ValidationError`` for what no instance could hold.
    """
    checked: dict[str, Any] = _part(model, tuple(fields)).validate_python(_without_nulls(model, fields))[0]
    return checked


@lru_cache(maxsize=1024)
def _part(model: type[Model], names: tuple[str, ...]) -> SchemaValidator:
    """Return what validates some fields of a model, without what the model makes of all of them together."""
    schema, definitions, config = fields_schema(model)
    part = {**schema, "fields": {name: schema["fields"][name] for name in names}}
    return SchemaValidator(core_schema.definitions_schema(part, definitions), config)


def fields_schema(model: type[Model]) -> tuple[Any, list[Any], Any]:
    """Return pydantic's schema of a model's fields, the definitions it refers to, and its configuration."""
    schema: Any = model.__pydantic_core_schema__
    definitions: list[Any] = []
    config = None
    while schema["type"] != "model-fields":
        definitions, config = schema.get("definitions", definitions), schema.get("config", config)
        schema = schema["schema"]
    return schema, definitions, config


def _private_state(model: type[Model]) -> dict[str, Any] | None:
    """Return the private attributes of a new instance, as pydantic begins them."""
    private = {}
    for name, attribute in model.__private_attributes__.items():
        factory: Any = attribute.default_factory
        if factory is not None or attribute.default is not PydanticUndefined:
            private[name] = factory() if factory is not None else deepcopy(attribute.default)
    return private or None


def shown_for_null(column: Column) -> Any:
    """Return what a null of a column is shown as: 0 for a counter, an empty collection, else None."""
    kind = get_origin(column.annotation)
    return 0 if column.counter else kind() if kind in _EMPTY_WHEN_NULL else None


def _without_nulls(model: type[M], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its nulls filled, or left out where the field's default is to stand."""
    full = dict(row)
    for name, kind in _never_null(model).items():
        if full.get(name, full) is None:
            if kind is None:
                del full[name]
            else:
                full[name] = kind()
    return full


@lru_cache(maxsize=1024)
def _never_null(model: type[Model]) -> dict[str, Callable[[], Any] | None]:
    """Return the columns of which an instance does not take a null as it is, each with its empty value or None."""
    table = table_of(model)
    kinds = {column.name: get_origin(column.annotation) for column in table.columns}
    return {
        column.name: kinds[column.name] if kinds[column.name] in _EMPTY_WHEN_NULL else None
        for column in table.columns
        if not column.is_key and (kinds[column.name] in _EMPTY_WHEN_NULL or column.counter or not column.optional)
    }


def _hold_enum_defaults_by_value(model: type[Model]) -> None:
    """Have a default that is an enum's member held as its value, which is what is given, stored and read."""
    found = [info for info in model.model_fields.values() if isinstance(info.default, Enum)]
    for info in found:
        info.validate_default = True
    if found and model.__pydantic_complete__:
        model.model_rebuild(force=True)


def _show_counter_defaults(model: type[Model]) -> None:
    """Let the signature and the repr of the class show the 0 that ``Counter`` put into its validator."""
    for info in model.model_fields.values():
        if info.is_required() and any(isinstance(marker, Counter) for marker in info.metadata):
            info.default = 0
