"""
One WSGI response on its way to the client, and what must happen when the server closes it.

Rules that live here: the server iterates the body and then calls ``close()``, whether it reached the end or not; an
exception, a status of 500 and above, or a failing ``close()`` of the application's body discard what was counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from aggregator.scopes import Request


class Response:
    """The body of one response; ``run`` calls a function in the context of the request, which has a scope."""

    def __init__(self, request: Request, run: Callable[..., Any], teardown: Callable[[], None]) -> None:
        self._request, self._run, self._teardown = request, run, teardown
        self._is_error = False
        self._has_ended = False
        self._body: Iterable[bytes] = ()

    def begin(self, app: Any, environ: dict[str, Any], start_response: Callable[..., Any]) -> Response:
        """Call the application; return the body to hand to the server."""

        def watch(status: str, *rest: Any) -> Any:
            self._is_error = status >= "5"
            return start_response(status, *rest)

        try:
            self._run(self._request.__enter__)
            self._body = self._run(app, environ, watch)
            self._chunks = self._run(iter, self._body)
        except BaseException:
            self._end(is_error=True)
            raise
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk: bytes = self._run(next, self._chunks)
        except StopIteration:
            raise
        except BaseException:
            self._is_error = True
            raise
        return chunk

    def close(self) -> None:
        """End the request, the application's body first."""
        try:
            if hasattr(self._body, "close"):
                self._run(self._body.close)
        except BaseException:
            self._is_error = True
            raise
        finally:
            self._end(self._is_error)

    def _end(self, is_error: bool) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        if is_error:
            self._request.discard()
        self._run(self._request.__exit__, None, None, None)
        self._teardown()
