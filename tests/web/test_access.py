"""Who may see and change what; decisions on parked rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from aggregator.web.access import visitor
from aggregator.web.answers import Refused
from coodie.testing import Fault
from tests.support.models import PageHits
from tests.web.asking import ask

NOBODY = 65534
ASK_AS_NOBODY = f"""
import os, sys
from tests.web.asking import ask
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
try:
    print(ask(sys.argv[1], "/unknown.json").status, ask(sys.argv[1], "/resolve", "POST", "{{}}").status)
except OSError as error:
    print(type(error).__name__)
"""


def park(aggregator, store, page="/a", views=2):
    store.fault = Fault.TIMED_OUT
    PageHits(url=page).increment(views=views)
    aggregator.flush()
    store.fault = Fault.NONE


def decide(url, number, apply, **headers):
    return ask(url, "/resolve", "POST", json.dumps({"id": number, "apply": apply}), **headers)


@pytest.mark.parametrize(("apply", "stored"), [(True, 2), (False, None)])
def test_the_same_user_decides_over_a_socket_file(serve, store, socket_file, apply, stored):
    aggregator, url = serve(socket_file)
    park(aggregator, store)
    number = ask(url, "/unknown.json").json[0]["id"]
    done = decide(url, number, apply)
    assert (done.status, done.json["deltas"]) == (200, {"views": 2})
    assert ask(url, "/unknown.json").json == []
    assert (aggregator.stats().pending, aggregator.stats().dropped) == ((2, 0) if apply else (0, 2))
    again = decide(url, number, apply)
    assert again.status == 404
    assert number in again.text
    aggregator.flush()
    row = PageHits.find_one(url="/a")
    assert (row.views if row else None) == stored


def test_what_was_not_shown_is_not_decided(serve, store, socket_file):
    """More of the row is parked between the look and the decision: nothing happens."""
    aggregator, url = serve(socket_file)
    park(aggregator, store)
    number = ask(url, "/unknown.json").json[0]["id"]
    park(aggregator, store)
    assert decide(url, number, True).status == 404
    assert aggregator.stats().unknown == 4


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{}", 400),
        ('{"id": 1, "apply": true}', 400),
        ('{"id": "1", "apply": 1}', 400),
        ('{"id": "1", "apply": true, "all": 1}', 400),
        ('{"id": "1", "apply": true}', 404),
        (" " * 5000, 413),
    ],
)
def test_a_bad_decision_is_refused(serve, store, socket_file, body, status):
    aggregator, url = serve(socket_file)
    park(aggregator, store)
    assert ask(url, "/resolve", "POST", body).status == status
    assert aggregator.stats().unknown == 2


def test_over_tcp_the_token_decides(serve, store, monkeypatch):
    monkeypatch.setenv("AGGREGATOR_STATUS_TOKEN", "open sesame")
    aggregator, url = serve()
    park(aggregator, store)
    number = ask(url, "/unknown.json").json[0]["id"]
    for headers in ({}, {"Authorization": "Bearer open"}, {"Authorization": "Basic open sesame"}):
        refused = decide(url, number, True, **headers)
        assert refused.status == 403
        assert "AGGREGATOR_STATUS_TOKEN" in refused.text
    assert aggregator.stats().unknown == 2
    assert decide(url, number, True, Authorization="Bearer open sesame").status == 200
    assert aggregator.stats().unknown == 0


def test_without_a_token_none_opens(serve, monkeypatch):
    monkeypatch.setenv("AGGREGATOR_STATUS_TOKEN", "")
    _, url = serve()
    assert decide(url, "x", True, Authorization="Bearer ").status == 403


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as another user")
@pytest.mark.parametrize(("mode", "answer"), [(0o600, "PermissionError"), (0o666, "200 403")])
def test_another_user_decides_nothing(serve, mode, answer):
    """The file keeps others out; where it was opened to them, the peer's user does."""
    with TemporaryDirectory() as folder:  # not pytest's: that is root's alone
        path = Path(folder, "status.sock")
        path.parent.chmod(0o711)
        _, url = serve(str(path))
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(mode)
        command = [sys.executable, "-c", ASK_AS_NOBODY, url]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == answer


def scope(client="127.0.0.1", **headers):
    return {
        "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
        "client": (client, 50000),
        "state": {"is_file": False, "peer_uid": None},
    }


def test_from_elsewhere_figures_and_no_keys():
    assert visitor(scope("203.0.113.7"), None) == (False, False)
    assert visitor(scope("203.0.113.7", authorization="Bearer x"), "x") == (True, True)
    assert visitor(scope("::1"), None) == (True, False)


def test_keys_are_not_shown_to_who_may_not_see_them(serve, monkeypatch):
    aggregator, url = serve()
    PageHits(url="/a").increment(views=1)
    aggregator.flush()
    monkeypatch.setattr("aggregator.web.access.is_loopback", lambda host: False)
    for path in ("/top.json", "/unknown.json", "/rejected.json"):
        assert ask(url, path).status == 403
    assert ask(url, "/figures.json").json["hottest"] is None
    assert ask(url, "/stats.json").json["applied"] == 1


@pytest.mark.parametrize("host", ["localhost:9464", "127.0.0.1", "[::1]:9464", "LOCALHOST"])
def test_a_request_by_an_own_name_is_answered(host):
    assert visitor(scope(host=host), None).may_see_keys


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", ""])
def test_a_page_of_the_web_cannot_ask_by_a_name_of_its_own(serve, host):
    with pytest.raises(Refused):
        visitor(scope(host=host), None)
    assert visitor(scope(host=host, authorization="Bearer x"), "x").may_see_keys
    _, url = serve()
    if host:
        assert ask(url, "/stats.json", Host=host).status == 403
