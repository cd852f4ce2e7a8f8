"""
Waiting for a blocking call on an event loop.

Rules that live here: ``asyncio`` is imported by the first call. It takes half as long as pydantic, and a program that
runs no loop does without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a blocking call returns, made in a thread of the running loop's pool. Cancelling does not stop it."""
    import asyncio

    return await asyncio.to_thread(function, *args, **kwargs)
