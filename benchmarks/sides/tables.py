"""
The two tables that are read and written: a small one of texts and numbers, and one of eight columns of six types.

Rules that live here: data and the classes on either face, nothing else; a side finds this file beside itself. All rows
of a table are in one partition.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from typing import Annotated, Any, NamedTuple, Optional
from uuid import UUID

from coodie.fields import ClusteringKey, PrimaryKey


class Table(NamedTuple):
    """A table: its name, what makes a row of a number, its class on a face, and the two columns of its key."""

    name: str
    row: Callable[[int], dict[str, Any]]
    model: Callable[[str], Any]
    partition: str
    clustering: str

    def key(self, number: int) -> dict[str, Any]:
        """Return the key of a row, by name."""
        row = self.row(number)
        return {name: row[name] for name in (self.partition, self.clustering)}

    @property
    def whole(self) -> dict[str, Any]:
        """Return the key of the partition, by name."""
        return {self.partition: self.row(0)[self.partition]}


def _article(number: int) -> dict[str, Any]:
    return {"site": "north", "url": f"/articles/{number:07d}", "title": f"Article {number}", "views": number}


def _product(number: int) -> dict[str, Any]:
    """Return a row as the mapper's clients give it; the note is null in every other one."""
    return {
        "shop": "north",
        "id": UUID(int=number),
        "name": f"Product {number}",
        "price": 9.5 + number,
        "stock": number,
        "tags": ["new", "blue"],
        "added": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - as cassandra-driver gives it
        "note": None if number % 2 else "fragile",
    }


def _article_model(face: str) -> Any:
    class Article(import_module(f"coodie.{face}").Document):  # type: ignore[misc]  # the base is found at run time
        site: Annotated[str, PrimaryKey()]
        url: Annotated[str, ClusteringKey()]
        title: str
        views: int = 0

        class Settings:
            name = "articles"

    return Article


def _product_model(face: str) -> Any:
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


SMALL = Table("articles", _article, _article_model, "site", "url")
WIDE = Table("products", _product, _product_model, "shop", "id")
TABLES = {table.name: table for table in (SMALL, WIDE)}
