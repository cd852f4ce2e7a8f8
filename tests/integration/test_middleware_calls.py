"""The middlewares called as servers call them, against a real aggregator on the embedded store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aggregator import Aggregator, ConfigurationError
from aggregator.integrations import asgi, wsgi
from coodie.sync import init_coodie
from tests.integration.sites import SyncHits, asgi_site, wsgi_site

BOTH = pytest.mark.parametrize("middleware", [asgi.AggregatorMiddleware, wsgi.AggregatorMiddleware])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[None]:
    driver = init_coodie(driver_type="sqlite", database=str(tmp_path / "hits.db"))
    SyncHits.sync_table()
    yield
    driver.close()


@pytest.fixture
def aggregator(store: None) -> Iterator[Aggregator]:
    with Aggregator(flush_interval=None) as started:
        yield started


class AsgiClient:
    """Calls an ASGI application and notes what it sends, and what was pending when it sent it."""

    def __init__(self, app: Any, aggregator: Aggregator) -> None:
        self.app, self.aggregator = app, aggregator
        self.sent: list[str] = []
        self.pending_at_end: Any = None

    def get(self, path: str, kind: str = "http") -> None:
        asyncio.run(self.app({"type": kind, "path": path}, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        return {"type": "http.request"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message["type"])
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.pending_at_end = self.aggregator.pending()


def call_wsgi(app: Any, path: str) -> Iterator[bytes]:
    """Call a WSGI application as a server does, close() included; gives the chunks as they come."""
    written: list[bytes] = []
    body = app({"PATH_INFO": path}, lambda status, headers, *rest: written.append)
    try:
        yield from body
        yield from written
    finally:
        if hasattr(body, "close"):
            body.close()


class TestOptions:
    @BOTH
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"on_teardown": "later"}, "on_teardown='later'.*'wake', 'flush' or 'off'"),
            ({"discard_on_error": 1}, "discard_on_error=1.*True or False"),
            ({"aggregator": "mine"}, "aggregator='mine'"),
        ],
    )
    def test_a_bad_one_is_refused(self, middleware: Any, options: dict[str, Any], words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            middleware(asgi_site, **options)

    @BOTH
    def test_an_unknown_one_is_refused(self, middleware: Any) -> None:
        with pytest.raises(TypeError):
            middleware(asgi_site, on_teardwon="off")


class TestAsgi:
    def test_flush_comes_after_the_last_byte(self, aggregator: Aggregator) -> None:
        client = AsgiClient(asgi.AggregatorMiddleware(asgi_site, on_teardown="flush"), aggregator)
        client.get("/a")
        assert client.pending_at_end == {("page_hits", ("/a",)): {"views": 1}}
        assert aggregator.stats().applied == 1

    def test_flush_comes_also_after_an_exception(self, aggregator: Aggregator) -> None:
        client = AsgiClient(asgi.AggregatorMiddleware(asgi_site, on_teardown="flush"), aggregator)
        with pytest.raises(RuntimeError, match="before the response"):
            client.get("/raise")
        assert aggregator.stats().applied == 1

    @pytest.mark.parametrize(("path", "kept"), [("/a", 1), ("/stream", 2), ("/fail", 0), ("/raise", 0), ("/break", 0)])
    def test_errors_discard(self, aggregator: Aggregator, path: str, kept: int) -> None:
        client = AsgiClient(asgi.AggregatorMiddleware(asgi_site, discard_on_error=True), aggregator)
        try:
            client.get(path)
        except RuntimeError:
            assert path in ("/raise", "/break")
        assert aggregator.stats().accepted == kept

    @pytest.mark.parametrize("kind", ["websocket", "lifespan"])
    def test_other_scopes_pass_through(self, aggregator: Aggregator, kind: str) -> None:
        """Neither discarded nor flushed."""
        app = asgi.AggregatorMiddleware(asgi_site, on_teardown="flush", discard_on_error=True)
        AsgiClient(app, aggregator).get("/fail", kind)
        assert aggregator.stats().pending == 1

    def test_a_failing_flush_changes_no_response(
        self, aggregator: Aggregator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def fail() -> None:
            raise OSError("the disk is gone")

        monkeypatch.setattr(aggregator, "aflush", fail)
        client = AsgiClient(asgi.AggregatorMiddleware(asgi_site, on_teardown="flush"), aggregator)
        client.get("/a")
        assert client.sent == ["http.response.start", "http.response.body"]
        assert "stays pending" in caplog.text


class TestWsgi:
    @pytest.mark.parametrize("path", ["/a", "/stream", "/write"])
    def test_flush_comes_after_the_last_byte(self, aggregator: Aggregator, path: str) -> None:
        response = call_wsgi(wsgi.AggregatorMiddleware(wsgi_site, on_teardown="flush"), path)
        chunks = [(chunk, aggregator.stats().applied) for chunk in response]
        assert {applied for _, applied in chunks} == {0}
        assert aggregator.stats().applied == aggregator.stats().accepted > 0

    @pytest.mark.parametrize(
        ("path", "kept"), [("/a", 1), ("/stream", 2), ("/write", 1), ("/fail", 0), ("/raise", 0), ("/break", 0)]
    )
    def test_errors_discard(self, aggregator: Aggregator, path: str, kept: int) -> None:
        app = wsgi.AggregatorMiddleware(wsgi_site, discard_on_error=True)
        try:
            list(call_wsgi(app, path))
        except RuntimeError:
            assert path in ("/raise", "/break")
        assert aggregator.stats().accepted == kept

    def test_a_client_that_leaves_early_is_no_error(self, aggregator: Aggregator) -> None:
        """The server closes the body without iterating it to its end."""
        response = call_wsgi(wsgi.AggregatorMiddleware(wsgi_site, discard_on_error=True), "/stream")
        next(response)
        response.close()  # type: ignore[attr-defined]  # the middleware's iterator has it
        assert aggregator.stats().accepted == 1

    def test_a_scope_covers_chunks_made_on_another_thread(self, aggregator: Aggregator) -> None:
        """And does not leak into the thread that made the call."""
        response = call_wsgi(wsgi.AggregatorMiddleware(wsgi_site, discard_on_error=True), "/break")
        next(response)
        SyncHits(url="/outside").increment(views=1)
        errors: list[BaseException] = []

        def finish() -> None:
            try:
                list(response)
            except RuntimeError as error:
                errors.append(error)

        thread = threading.Thread(target=finish)
        thread.start()
        thread.join()
        assert [str(error) for error in errors] == ["in the middle of the response"]
        assert aggregator.pending() == {("page_hits", ("/outside",)): {"views": 1}}

    def test_a_failing_flush_changes_no_response(
        self, aggregator: Aggregator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail() -> None:
            raise OSError("the disk is gone")

        monkeypatch.setattr(aggregator, "flush", fail)
        app = wsgi.AggregatorMiddleware(wsgi_site, on_teardown="flush")
        assert list(call_wsgi(app, "/a")) == [b"/a"]
        assert "stays pending" in caplog.text


class TestWake:
    def test_without_a_flusher_a_due_flush_is_done_inline(self, store: None, monkeypatch: pytest.MonkeyPatch) -> None:
        """As under servers that allow no threads; one that is not due is left alone."""
        with Aggregator(flush_interval=None) as aggregator:
            monkeypatch.setattr(aggregator, "_teardown_hint", lambda: aggregator.stats().rows_pending >= 2)
            app = wsgi.AggregatorMiddleware(wsgi_site)
            list(call_wsgi(app, "/a"))
            assert aggregator.stats().applied == 0
            list(call_wsgi(app, "/b"))
            assert aggregator.stats().applied == 2

    @pytest.mark.parametrize("is_given", [True, False])
    def test_an_aggregator_that_is_not_started_is_not_served(self, store: None, is_given: bool) -> None:
        """The request goes through and its hit is written directly."""
        aggregator = Aggregator() if is_given else None
        app = wsgi.AggregatorMiddleware(wsgi_site, aggregator=aggregator, on_teardown="flush", discard_on_error=True)
        assert list(call_wsgi(app, "/a")) == [b"/a"]
        assert SyncHits.get(url="/a").views == 1
