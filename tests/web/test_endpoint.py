"""The endpoint's life: addresses taken, files left behind, the end, streams."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import types
from contextlib import closing
from pathlib import Path

import pytest

from aggregator import Aggregator
from aggregator.status_address import Port, SocketFile, parse
from coodie.exceptions import ConfigurationError
from tests.support.models import PageHits
from tests.web.asking import ask, connection, until, url_of


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "aggregator-status"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:9464", Port("127.0.0.1", 9464)),
        ("localhost:0", Port("localhost", 0)),
        ("[::1]:65535", Port("::1", 65535)),
        ("./status-{pid}.sock", SocketFile("./status-{pid}.sock")),
    ],
)
def test_addresses(text, found):
    assert parse(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *("", 9464, "9464", ":9464", "localhost:", "localhost:65536", "127.0.0.1:-1", "::1:9464", "host:٣"),
        *("http://127.0.0.1:9464", "/run/", "127.0.0.1:{pid}", "/a\0b"),
    ],
)
def test_what_is_no_address_is_refused_at_construction(text):
    with pytest.raises(ConfigurationError, match="status=.* is not allowed: .*HOST:PORT") as refused:
        Aggregator(status=text)
    assert repr(text) in str(refused.value)


def test_without_the_option_no_server_is_imported_and_no_thread_started(store):
    with Aggregator() as aggregator:
        assert aggregator._companions._all == []
        assert threads() == []


def test_it_ends_with_the_aggregator_and_begins_with_the_next(serve, socket_file):
    aggregator, url = serve(socket_file)
    path = Path(url.removeprefix("unix:"))
    assert path.name == f"status-{os.getpid()}.sock"
    assert ask(url, "/healthz").status == 200
    aggregator.shutdown()
    assert not path.exists()
    assert threads() == []
    aggregator.start()
    assert ask(url, "/healthz").status == 200


def test_until_the_last_flush_is_over_it_tells_what_is_to_be_written(serve, store):
    aggregator, url = serve()
    PageHits(url="/a").increment(views=1)
    shown = []
    real = store.driver.execute_many

    def watched(*arguments):
        shown.append((ask(url, "/ready").text, ask(url, "/stats.json").json["in_flight"]))
        real(*arguments)

    store.driver.execute_many = watched
    aggregator.shutdown()
    assert shown == [("stopped: shutdown() was called\n", 0)]


def test_an_address_that_is_taken_is_one_warning(serve, store, caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        aggregator = Aggregator(flush_interval=None, status=f"127.0.0.1:{taken.getsockname()[1]}")
        with aggregator:
            PageHits(url="/a").increment(views=1)
    assert PageHits.get(url="/a").views == 1
    (warning,) = warnings(caplog)
    assert "in use" in warning
    assert "counting goes on" in warning


@pytest.mark.parametrize("status", ["no.such.host.invalid:1", "/no/such/folder/status.sock"])
def test_an_address_that_cannot_be_is_one_warning(store, caplog, status):
    with Aggregator(status=status):
        PageHits(url="/a").increment(views=1)
    assert PageHits.get(url="/a").views == 1
    (warning,) = warnings(caplog)
    assert status in warning


def test_a_wide_address_is_one_warning(serve, caplog):
    _, url = serve("0.0.0.0:0")
    assert warnings(caplog) == [f"the status endpoint {url} can be reached from other hosts"]


def test_a_file_left_behind_is_replaced(serve, tmp_path):
    path = tmp_path / "status.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    _, url = serve(str(path))
    assert ask(url, "/healthz").status == 200


def test_a_file_that_answers_is_left_alone(serve, store, tmp_path, caplog):
    path = tmp_path / "status.sock"
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(path))
        alive.listen()
        with Aggregator(status=str(path)):
            (warning,) = warnings(caplog)
            assert "in use" in warning
        assert path.exists()


def test_a_file_that_is_no_socket_is_left_alone(store, tmp_path, caplog):
    path = tmp_path / "notes"
    path.write_text("mine")
    with Aggregator(status=str(path)):
        (warning,) = warnings(caplog)
        assert "no socket" in warning
    assert path.read_text() == "mine"


def test_a_file_that_another_has_made_meanwhile_is_left_alone(serve, tmp_path):
    path = tmp_path / "status.sock"
    aggregator, _ = serve(str(path))
    path.unlink()
    path.write_text("of another")
    aggregator.shutdown()
    assert path.read_text() == "of another"


def test_gevent_that_patched_threads_is_one_warning(store, monkeypatch, caplog):
    patched = types.SimpleNamespace(is_module_patched=lambda name: name == "threading")
    monkeypatch.setitem(sys.modules, "gevent.monkey", patched)
    with Aggregator(status="127.0.0.1:0"):
        assert threads() == []
    (warning,) = warnings(caplog)
    assert "gevent" in warning


def events(response):
    """Yield the data of a stream's events."""
    while line := response.readline():
        if line.startswith(b"data: "):
            yield line


def test_a_stream_shows_changes_and_ends_with_the_aggregator(serve):
    """It is open and unread when shutdown() is called, which does not wait for it, and it ends properly."""
    aggregator, url = serve()
    with closing(connection(url)) as made:
        made.request("GET", "/events")
        response = made.getresponse()
        assert response.headers["content-type"] == "text/event-stream"
        seen = events(response)
        assert b'"accepted":0,' in next(seen)
        PageHits(url="/a").increment(views=3)
        until(lambda: b'"accepted":3,' in next(seen))
        aggregator.shutdown()
        assert threads() == []
        assert response.read() is not None  # an abrupt end would be IncompleteRead


def test_a_client_that_never_reads_does_not_hold_up_the_end(serve, monkeypatch):
    aggregator, url = serve()
    monkeypatch.setattr("aggregator.web.live._hottest", lambda aggregator: ["x" * 1_000_000] * 20)
    with closing(connection(url)) as made:
        made.request("GET", "/events")
        made.sock.recv(1)
        aggregator.shutdown()
        assert threads() == []


def test_streams_are_bounded_and_one_that_ends_makes_room(serve, monkeypatch):
    monkeypatch.setattr("aggregator.web.stream.MOST", 1)
    _, url = serve()
    with closing(connection(url)) as made:
        made.request("GET", "/events")
        response = made.getresponse()
        next(events(response))
        assert ask(url, "/events").status == 503
        response.close()
    with closing(connection(url)) as made:

        def opened():
            made.request("GET", "/events")
            found = made.getresponse()
            if found.status == 200:
                return found
            found.read()
            return None

        until(opened).close()


def test_no_signal_handler_and_no_log_of_uvicorn_is_touched(serve, caplog):
    """An application that runs on uvicorn itself keeps what it has."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    access = logging.getLogger("uvicorn.access")
    kept = logging.NullHandler()
    access.addHandler(kept)
    caplog.set_level(logging.DEBUG)
    aggregator, url = serve()
    ask(url, "/stats.json")
    with closing(connection(url)) as made:
        made.connect()
        made.sock.sendall(b"this is not HTTP\r\n\r\n")
        assert made.sock.recv(100).startswith(b"HTTP/1.1 400")
    aggregator.shutdown()
    assert access.handlers == [kept]
    assert access.propagate
    access.removeHandler(kept)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
    logging.getLogger("uvicorn.error").warning("of the application's own")
    assert "of the application's own" in caplog.text


def test_the_address_is_told_at_info(serve, caplog):
    caplog.set_level(logging.INFO, "aggregator")
    aggregator, _ = serve()
    assert f"status endpoint: {url_of(aggregator)}" in caplog.text
