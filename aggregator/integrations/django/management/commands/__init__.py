"""
The commands of ``manage.py``: what ``aggregator`` does on its command line, with the project's settings.

Rules that live here: a command looks at the processes of the settings' ``status`` and the files of its ``journal``; it
counts nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.core.management.base import CommandError

from aggregator.cli.failure import Failure
from aggregator.config import Options


def options() -> Options:
    """Return the options that the settings' ``AGGREGATOR`` and the environment give."""
    chosen: Options = apps.get_app_config("aggregator").aggregator.options
    return chosen


@contextmanager
def told_by_django() -> Iterator[None]:
    """Let a command's failure be Django's: one line, and the exit code."""
    try:
        yield
    except Failure as error:
        raise CommandError(str(error), returncode=error.code) from error
