"""
The table that is read and written: eight columns of six types, as an everyday program has them.

Rules that live here: pure data and one function that makes the class on a face; a side finds this file beside itself.
"""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from typing import Annotated, Any, Optional
from uuid import UUID

from coodie.fields import ClusteringKey, PrimaryKey

SHOP = "north"


def row(number: int) -> dict[str, Any]:
    """Return a row as the mapper's clients give it; the note is null in every other one."""
    return {
        "shop": SHOP,
        "id": UUID(int=number),
        "name": f"Product {number}",
        "price": 9.5 + number,
        "stock": number,
        "tags": ["new", "blue"],
        "added": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - as cassandra-driver gives it
        "note": None if number % 2 else "fragile",
    }


def model(face: str) -> Any:
    """Return the document class of a face."""

    class Product(import_module(f"coodie.{face}").Document):  # type: ignore[misc]  # the base is found at run time
        shop: Annotated[str, PrimaryKey()]
        id: Annotated[UUID, ClusteringKey()]
        name: str
        price: float = 0.0
        stock: int = 0
        tags: list[str] = []  # noqa: RUF012 - pydantic copies it
        added: Optional[datetime] = None  # noqa: UP045 - the form that every version of the peer takes
        note: Optional[str] = None  # noqa: UP045 - likewise

        class Settings:
            name = "products"

    return Product
