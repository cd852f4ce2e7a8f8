"""
CQL types as text, taken apart.

Rules that live here: ``frozen`` says how a collection is stored, not what it holds, so it is taken off; a type that is
no collection is its own name without arguments.
"""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=4096)
def collection_of(cql_type: str) -> tuple[str, tuple[str, ...]]:
    """Return the kind of a type and the types of its elements: ``frozen<list<int>>`` is ``("list", ("int",))``."""
    while cql_type.startswith("frozen<"):
        cql_type = cql_type[len("frozen<") : -1]
    kind, _, inside = cql_type.partition("<")
    if not inside:
        return cql_type, ()
    found, depth, start = [], 0, 0
    for position, sign in enumerate(inside):
        depth += (sign == "<") - (sign == ">")
        if depth < 0 or (sign == "," and depth == 0):
            found.append(inside[start:position].strip())
            start = position + 1
    return kind, tuple(found)
