"""The intake over real sockets: what it answers, whom it lets in, and what hostile clients can do to others."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from aggregator.exceptions import ConfigurationError
from tests.agent.intake_rig import Client, moved, request, serving

TOKEN = "a-token-of-enough-signs"


def raw(url: str) -> socket.socket:
    """Return a connected socket that says what the test says."""
    made = socket.socket(socket.AF_UNIX)
    made.connect(url.removeprefix("unix:"))  # waits where the backlog is full
    made.settimeout(30)
    return made


def read_to_end(connection: socket.socket) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65_536):
            data += part
    return data


def head(length: int | str, more: str = "") -> bytes:
    return f"POST /v1/increments HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{more}\r\n".encode()


# --- answers ----------------------------------------------------------------------------------------------------


def test_a_request_is_counted_and_its_repetition_is_not(tmp_path):
    with serving(tmp_path) as intake:
        client = Client(intake.url)
        body = request("p", 7, ("/a", 1), ("/b", 2), ("/a", 3))
        assert client.post(body) == (200, {"accepted": 3, "duplicate": False, "last": 7})
        assert client.post(body) == (200, {"accepted": 0, "duplicate": True, "last": 7})
        assert client.ask("GET", "/healthz")[1]["rows"] == 2
        assert client.ask("GET", "/healthz")[1]["status"] == "ok"
        client.close()
        assert moved(intake.source)["page_hits", ("/a",), "views"] == 4


def test_an_answer_of_disk_durability_comes_after_a_sync_and_syncs_are_shared(tmp_path, monkeypatch):
    synced = []
    fdatasync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (synced.append(fd), fdatasync(fd)))
    with serving(tmp_path, durability="disk") as intake:
        clients = [Client(intake.url) for _ in range(20)]
        for sequence in range(1, 11):
            before = len(synced)
            for number, client in enumerate(clients):  # all of them send before any of them reads
                data = json.dumps(request(f"p{number}", sequence, ("/a", 1))).encode()
                client.request("POST", "/v1/increments", data)
            for client in clients:
                answer = client.getresponse()
                assert (answer.status, json.loads(answer.read())["accepted"]) == (200, 1)
            assert len(synced) > before
        for client in clients:
            client.close()
        assert len(synced) < 20 * 10
        assert sum(moved(intake.source).values()) == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("POST", "/v1/other", 404), ("GET", "/v1/increments", 405), ("PUT", "/v1/increments", 405)],
)
def test_other_paths_and_methods_say_what_there_is(tmp_path, method, path, status):
    with serving(tmp_path) as intake, contextlib.closing(Client(intake.url)) as client:
        found, answer = client.ask(method, path)
        assert found == status
        assert "nothing was counted" in answer["error"]


def test_a_refusal_says_which_and_why_and_when_to_come_again(tmp_path):
    with serving(tmp_path, rows=1) as intake, contextlib.closing(Client(intake.url)) as client:
        status, answer = client.post(request("p", 1, ("", 1)))
        assert (status, answer["error"].partition(":")[0]) == (400, "increments[0]")
        client.post(request("p", 1, ("/a", 1)))
        client.request("POST", "/v1/increments", json.dumps(request("p", 2, ("/b", 1))))
        full = client.getresponse()
        assert (full.status, full.headers["retry-after"]) == (503, "1")
        assert "1 rows wait for the agent already" in json.loads(full.read())["error"]


# --- who is let in ----------------------------------------------------------------------------------------------


def test_the_socket_is_its_users_alone_and_goes_with_the_server(tmp_path):
    with serving(tmp_path) as intake:
        path = Path(intake.url.removeprefix("unix:"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()


def test_a_user_who_is_not_on_the_list_is_refused(tmp_path):
    with serving(tmp_path, users=[os.geteuid() + 1]) as intake, contextlib.closing(raw(intake.url)) as connection:
        answer = read_to_end(connection)
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"--allow-uid" in answer
        assert stat.S_IMODE(Path(intake.url.removeprefix("unix:")).stat().st_mode) == 0o666


AS_NOBODY = """
import os, socket, sys
os.setgroups([]), os.setgid(65534), os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")
print(connection.recv(100))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user for a while")
def test_another_user_who_is_on_the_list_may_count():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # pytest's own are closed to others
        with serving(Path(folder), users=[0, 65_534]) as intake:
            command = [sys.executable, "-I", "-c", AS_NOBODY, intake.url.removeprefix("unix:")]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            assert "200" in done.stdout, done.stderr


def test_over_tcp_every_request_needs_the_token(tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "token").chmod(0o600)
    body = request("p", 1, ("/a", 1))
    with (
        serving(tmp_path, "127.0.0.1:0", token_file=tmp_path / "token") as intake,
        contextlib.closing(Client(intake.url)) as client,
    ):
        assert client.post(body)[0] == 401
        assert client.post(body, Authorization="Bearer " + TOKEN[:-1])[0] == 401
        assert client.ask("GET", "/healthz")[0] == 401
        assert client.post(body, Authorization="Bearer " + TOKEN) == (
            200,
            {"accepted": 1, "duplicate": False, "last": 1},
        )


@pytest.mark.parametrize(
    ("address", "token", "mode", "said"),
    [
        ("127.0.0.1:0", None, 0o600, "without a token file"),
        ("127.0.0.1:0", TOKEN, 0o640, "chmod 600"),
        ("127.0.0.1:0", "short", 0o600, "is not fit"),
        ("0.0.0.0:0", TOKEN, 0o600, "other hosts could read"),
        ("nowhere", TOKEN, 0o600, "is not allowed"),
    ],
)
def test_an_address_that_is_not_safe_is_refused(tmp_path, address, token, mode, said):
    file = None
    if token is not None:
        file = tmp_path / "token"
        file.write_text(token)
        file.chmod(mode)
    with pytest.raises(ConfigurationError, match=said), serving(tmp_path, address, token_file=file):
        pass


def test_a_folder_that_others_can_change_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o777)
    with pytest.raises(ConfigurationError, match="can be changed by others"), serving(tmp_path):
        pass


def test_a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not(tmp_path):
    (tmp_path / "run").mkdir(mode=0o700)
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "run" / "socket"))
    left.close()
    (tmp_path / "other").mkdir()
    with serving(tmp_path) as intake:
        with pytest.raises(ConfigurationError, match="in use"), serving(tmp_path / "other", intake.url[5:]):
            pass
        with contextlib.closing(Client(intake.url)) as client:
            assert client.ask("GET", "/healthz")[0] == 200


# --- hostile clients --------------------------------------------------------------------------------------------

LONG = 3_000_000


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (head(LONG), 413),
        (head("9" * 15), 413),
        (head(10, "Transfer-Encoding: chunked\r\n") + b"%x\r\n" % LONG + b"x" * LONG + b"\r\n0\r\n\r\n", 413),
        (head("-1"), 400),
        (head("1e3"), 400),
        (b"\x16\x03\x01\x00\xff garbage\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000, 400),
        (head(5) + b"\x00\xff\xfe{}", 400),
        (head(2, "Upgrade: websocket\r\nConnection: Upgrade\r\n") + b"{}", 400),
    ],
    ids=["declared too long", "absurd length", "chunks without end", "negative", "no number", "tls", "long header",
         "no json", "upgrade"],
)  # fmt: skip
def test_what_is_no_request_is_answered_in_words(tmp_path, sent, status):
    with serving(tmp_path) as intake:
        with contextlib.closing(raw(intake.url)) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(sent)
            answer = connection.recv(1000)
            assert answer.startswith(b"HTTP/1.1 %d " % status), answer
        with contextlib.closing(Client(intake.url)) as client:
            assert client.post(request("p", 1, ("/a", 1)))[0] == 200


def test_half_a_request_counts_nothing(tmp_path):
    body = json.dumps(request("p", 1, ("/a", 1))).encode()
    with serving(tmp_path, request_s=0.3) as intake:
        with contextlib.closing(raw(intake.url)) as connection:
            connection.sendall(head(len(body)) + body[:-1])
            assert read_to_end(connection) == b""  # cut off at the deadline
        with contextlib.closing(raw(intake.url)) as connection:
            connection.sendall(head(len(body) + 100) + body)
        with contextlib.closing(Client(intake.url)) as client:
            assert client.ask("GET", "/healthz")[0] == 200
        assert intake.source.waiting_rows == 0


@pytest.mark.parametrize(
    "first", [b"", b"POST /v1/incre", head(100) + b"{"], ids=["silent", "in its head", "in its body"]
)
def test_a_client_that_sends_a_byte_now_and_then_is_cut_off(tmp_path, first):
    with serving(tmp_path, request_s=0.5) as intake, contextlib.closing(raw(intake.url)) as connection:
        connection.settimeout(0.05)
        connection.sendall(first)
        until = time.monotonic() + 30
        with pytest.raises(ConnectionError):  # the end of the stream, or a refused write
            while time.monotonic() < until:
                try:
                    if not connection.recv(100):
                        raise ConnectionResetError
                except TimeoutError:
                    connection.sendall(b"x" if first else b"")


def test_a_second_request_that_never_ends_is_cut_off_too(tmp_path):
    with serving(tmp_path, request_s=0.3) as intake, contextlib.closing(raw(intake.url)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\n")
        assert read_to_end(connection).count(b"HTTP/1.1 200") == 1


def test_a_client_that_is_idle_between_requests_is_not_cut_off(tmp_path):
    with serving(tmp_path, request_s=0.2) as intake, contextlib.closing(Client(intake.url)) as client:
        assert client.post(request("p", 1, ("/a", 1)))[0] == 200
        time.sleep(0.5)  # longer than a request may take
        client.auto_open = 0
        assert client.post(request("p", 2, ("/a", 1)))[0] == 200


def test_200_slow_clients_do_not_keep_others_waiting_and_take_bounded_memory(tmp_path):
    with serving(tmp_path) as intake, contextlib.ExitStack() as stack:
        before = resident_bytes()
        body = json.dumps(request("slow", 1, ("/" + "x" * 900, 1))).encode()
        for number in range(200):
            slow = stack.enter_context(contextlib.closing(raw(intake.url)))
            slow.sendall((head(len(body)) + body)[: 1 + number * 5])
        client = stack.enter_context(contextlib.closing(Client(intake.url)))
        for sequence in range(1, 101):
            assert client.post(request("p", sequence, ("/a", 1)))[0] == 200
        assert moved(intake.source) == {("page_hits", ("/a",), "views"): 100}
        assert resident_bytes() - before < 50_000_000


def test_bodies_that_are_never_ended_take_bounded_memory(tmp_path):
    """Each of 100 clients sends all of a large body but its end; what does not fit together is refused."""
    with serving(tmp_path) as intake, contextlib.ExitStack() as stack:
        before = resident_bytes()
        answered = 0
        for _ in range(100):
            slow = stack.enter_context(contextlib.closing(raw(intake.url)))
            with contextlib.suppress(ConnectionError):
                slow.sendall(head(1_000_000) + b" " * 990_000)
            slow.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                answered += slow.recv(100).startswith(b"HTTP/1.1 503")
        client = stack.enter_context(contextlib.closing(Client(intake.url)))
        assert client.ask("GET", "/healthz")[0] == 200
        assert resident_bytes() - before < 250_000_000
    assert answered > 0


def test_more_connections_than_one_may_have_are_refused_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr("aggregator.agent.intake.callers.CONNECTIONS", 8)
    with serving(tmp_path) as intake, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(contextlib.closing(Client(intake.url))) for _ in range(6)]
        for client in clients:
            assert client.ask("GET", "/healthz")[0] == 200
        seventh = stack.enter_context(contextlib.closing(Client(intake.url)))
        status, answer = seventh.ask("GET", "/healthz")
        assert (status, answer["error"].partition(";")[0]) == (429, "6 connections of yours are open already")
        clients[0].close()
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with contextlib.closing(Client(intake.url)) as eighth:
                if eighth.ask("GET", "/healthz")[0] == 200:
                    break
        else:
            pytest.fail("a connection that ended made no room")


def test_noise_harms_nobody_and_is_not_logged(tmp_path, caplog):
    chance = random.Random(6)
    whole = head(400) + json.dumps(request("p", 1, ("/a", 1))).encode()
    with caplog.at_level(logging.WARNING), serving(tmp_path) as intake:
        for _ in range(200):
            noise = bytearray(whole)
            for _ in range(chance.randrange(1, 8)):
                noise[chance.randrange(len(noise))] = chance.randrange(256)
            with contextlib.closing(raw(intake.url)) as connection, contextlib.suppress(ConnectionError):
                connection.sendall(noise[: chance.randrange(len(noise))])
        with contextlib.closing(Client(intake.url)) as client:
            assert client.post(request("q", 1, ("/b", 1)))[0] == 200
        assert ("page_hits", ("/b",), "views") in moved(intake.source)
    assert caplog.text == ""


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
