"""gunicorn's gevent workers: requests answered = hits stored."""

from __future__ import annotations

import pytest

from tests.servers.serving import FORMS, GUNICORN, check_each_answer_is_stored, served, totals
from tests.servers.visitors import ask

FLASK, DJANGO = "tests.servers.flask_site:app", "tests.servers.django_site:wsgi"
GEVENT = [*GUNICORN, "--worker-class", "gevent"]


@pytest.mark.parametrize(("kind", "journal"), FORMS)
@pytest.mark.parametrize("site", [FLASK, DJANGO], ids=["flask", "django"])
def test_gevent_workers_store_each_answer_through_a_reload_and_their_end(tmp_path, site, kind, journal):
    check_each_answer_is_stored([*GEVENT, site], tmp_path, reload=True, KIND=kind, JOURNAL=journal)


@pytest.mark.parametrize("site", [FLASK, DJANGO], ids=["flask", "django"])
def test_preloaded_they_are_refused_in_clear_words(tmp_path, site):
    """gunicorn patches threads in its workers, so after the application was imported."""
    with served([*GEVENT, "--preload", site], tmp_path) as server:
        assert ask(server.address, "/a") == 500
        assert "load the application in the workers (gunicorn: without --preload)" in server.log()
    assert totals(tmp_path) == {}


def test_preloaded_they_count_where_threads_were_patched_first(tmp_path):
    (tmp_path / "patched.py").write_text(
        "from gevent import monkey\nmonkey.patch_all()\nfrom tests.servers.flask_site import app\n"
    )
    check_each_answer_is_stored([*GEVENT, "--preload", "patched:app"], tmp_path, reload=True)
