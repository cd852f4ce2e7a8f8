"""
What a change adds to a collection, checked by the field that holds it.

Rules that live here: elements are checked as the annotation inside the collection says, limits and validators included
(``list[Annotated[int, Field(ge=0)]]``). What is said of the collection as a whole, its length for one, is not known of
a part of it, and is not checked; nor is a field whose collection pydantic does not look into.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic_core import SchemaValidator, core_schema

from coodie.model import Model, fields_schema

_OF_THE_WHOLE = ("min_length", "max_length")
_COLLECTIONS = ("list", "set", "dict")


def checked_part(model: type[Model], name: str, part: Any) -> Any:
    """
    Return a part of the collection of a field as its elements' own validators give it.

    Raises pydantic's ``ValidationError`` for an element that no instance could hold.
    """
    validator = _validator(model, name)
    return part if validator is None else validator.validate_python({name: part})[0][name]


@lru_cache(maxsize=1024)
def _validator(model: type[Model], name: str) -> SchemaValidator | None:
    schema, definitions, config = fields_schema(model)
    named = {each["ref"]: each for each in definitions}
    inner: Any = schema["fields"][name]["schema"]
    while inner is not None and inner["type"] not in _COLLECTIONS:  # an Optional, a default, validators of the whole
        inner = named.get(inner.get("schema_ref")) or inner.get("schema")
    if inner is None:
        return None
    bare: Any = {key: value for key, value in inner.items() if key not in _OF_THE_WHOLE}
    part = {**schema, "fields": {name: core_schema.model_field(bare)}}
    return SchemaValidator(core_schema.definitions_schema(part, definitions), config)
