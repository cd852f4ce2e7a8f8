"""Flask under its servers, and the options its configuration takes."""

from __future__ import annotations

import threading
from dataclasses import fields

import pytest
from flask import Flask

from aggregator import Aggregator, ConfigurationError, current
from aggregator.config import Options
from aggregator.integrations.flask import AggregatorExtension
from coodie.sync import init_coodie
from tests.integration.processes import fetch, stored
from tests.servers.hits import Hits
from tests.servers.serving import FORMS, GUNICORN, check_each_answer_is_stored, served, totals
from tests.servers.visitors import ask

SITE = "tests.servers.flask_site:app"
WORKERS = {
    "sync": [],
    "sync, preloaded": ["--preload"],
    "gthread": ["--threads", "4"],
    "gthread, preloaded": ["--threads", "4", "--preload"],
}


@pytest.mark.parametrize(("kind", "journal"), FORMS)
@pytest.mark.parametrize("options", WORKERS.values(), ids=WORKERS)
def test_gunicorn_stores_each_answer_through_a_reload_and_its_end(tmp_path, options, kind, journal):
    command = [*GUNICORN, *options, SITE]
    check_each_answer_is_stored(command, tmp_path, reload=True, KIND=kind, JOURNAL=journal)


@pytest.mark.parametrize(
    "options", [WORKERS["sync, preloaded"], WORKERS["gthread"]], ids=["sync, preloaded", "gthread"]
)
def test_gunicorn_stores_what_recycled_workers_counted(tmp_path, options):
    command = [*GUNICORN, *options, "--max-requests", "50", SITE]
    check_each_answer_is_stored(command, tmp_path, workers=5, KIND="exact", JOURNAL="journal")


def test_a_failed_request_counts_nothing_where_that_was_asked_for(tmp_path):
    with served([*GUNICORN, SITE], tmp_path, DISCARD="1") as server:
        statuses = [ask(server.address, path) for path in ("/fine", "/unavailable", "/broken", "/stream", "/fine")]
        server.stop(complaints=1)  # Flask logs the broken page's exception
    assert statuses == [200, 503, 500, 200, 200]
    assert totals(tmp_path) == {"/fine": 2, "/stream": 2}


def test_the_example(tmp_path):
    command = [*GUNICORN, "--threads", "4", "examples.flask_app:create_app()"]
    with served(command, tmp_path, COODIE_DATABASE="hits.db", FLASK_AGGREGATOR_FLUSH_INTERVAL="0.1") as server:
        assert [fetch(f"{server.address}/home") for _ in range(3)] == ["this is /home"] * 3
        while fetch(f"{server.address}/hits/home") != "3":  # the background flush of each worker
            pass
        assert ask(server.address, "/broken") == 500
        fetch(f"{server.address}/last")
        server.stop()
    assert stored(tmp_path / "hits.db") == {"/home": 3, "/last": 1}


# --- in this process ---------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    driver = init_coodie(driver_type="sqlite", database=str(tmp_path / "hits.db"))
    Hits.sync_table()
    yield
    if (started := current()) is not None:
        started.shutdown()
    driver.close()


def site(extension=None, **config):
    """Make an application of one page, with AGGREGATOR_ before each name of the configuration."""
    app = Flask("site")
    app.config.from_mapping({f"AGGREGATOR_{name}": value for name, value in config.items()})
    app.add_url_rule("/", view_func=lambda: Hits(url="/").increment(views=1) or "counted")
    (extension or AggregatorExtension()).init_app(app)
    return app


GIVEN = {
    "flush_interval": 2.5,
    "flush_jitter": 0.2,
    "max_batch_size": 7,
    "max_keys": 70,
    "when_full": "drop",
    "flush_concurrency": 3,
    "consistency": "QUORUM",
    "flush_timeout": 5.0,
    "shutdown_timeout": 6.0,
    "on_unknown": "drop",
    "journal": "journal",
    "durability": "disk",
    "journal_sync_interval": 0.1,
    "read_pending": True,
    "mode": "direct",
    "status": None,
    "on_flush": print,
    "on_error": print,
}


def test_the_configuration_takes_every_option():
    app = site(**{name.upper(): value for name, value in GIVEN.items()})
    assert {option.name for option in fields(Options)} == set(GIVEN)
    assert app.extensions["aggregator"].options == Options(**GIVEN)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"FLUSH_INTERVALL": 1}, "AGGREGATOR_FLUSH_INTERVALL is no option; .* AGGREGATOR_FLUSH_INTERVAL,"),
        ({"FLUSH_INTERVAL": -1}, "flush_interval=-1 is not allowed: .*AGGREGATOR_FLUSH_INTERVAL"),
        ({"ON_TEARDOWN": "later"}, "on_teardown='later'"),
        ({"DISCARD_ON_ERROR": "yes"}, "discard_on_error='yes'"),
    ],
)
def test_a_wrong_option_is_refused_by_name(config, words):
    with pytest.raises(ConfigurationError, match=words):
        site(**config)


def test_options_beside_an_aggregator_that_has_its_own_are_refused():
    with pytest.raises(ConfigurationError, match="AGGREGATOR_MODE beside <Aggregator not started"):
        site(AggregatorExtension(aggregator=Aggregator()), MODE="null")


def test_an_application_is_served_once():
    app = site()
    with pytest.raises(ConfigurationError, match="second time"):
        AggregatorExtension(app)


def test_nothing_starts_before_the_first_request_and_then_once(store, tmp_path):
    """Neither a thread nor a journal; the first requests may come on several threads at once."""
    threads = threading.active_count()
    app = site(JOURNAL=str(tmp_path / "journal"), FLUSH_INTERVAL=3600)
    assert current() is None
    assert threading.active_count() == threads
    assert not (tmp_path / "journal").exists()
    visitors = [threading.Thread(target=lambda: app.test_client().get("/")) for _ in range(8)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert current() is app.extensions["aggregator"]
    assert current().stats().accepted == 8  # none went to the database directly, before the start


def test_an_aggregator_that_is_started_already_is_served(store):
    with Aggregator(flush_interval=3600) as started:
        site(ON_TEARDOWN="flush").test_client().get("/").close()
        assert started.stats().applied == 1


def test_a_second_application_with_the_same_options_is_served_by_the_first_ones_aggregator(store):
    first, second = site(FLUSH_INTERVAL=3600), site(FLUSH_INTERVAL=3600)
    for app in (first, second):
        app.test_client().get("/")
    assert current().stats().accepted == 2


@pytest.mark.parametrize("is_given", [True, False])
def test_another_one_that_was_chosen_is_not_passed_over(store, is_given):
    app = site(AggregatorExtension(aggregator=Aggregator())) if is_given else site(FLUSH_INTERVAL=1800)
    with Aggregator(), pytest.raises(ConfigurationError, match="already started in this process"):
        app.test_client().get("/")


def test_a_flush_at_the_end_of_a_request_can_be_had(store):
    app = site(ON_TEARDOWN="flush", FLUSH_INTERVAL=3600)
    app.test_client().get("/").close()
    assert current().stats().applied == 1
