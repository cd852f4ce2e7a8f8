"""``manage.py aggregator_flush``: write what processes that are gone left in the journal."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aggregator.cli.journal import write_what_is_left
from aggregator.integrations.django.management.commands import options, told_by_django


class Command(BaseCommand):  # type: ignore[misc]  # Django has no types of its own
    """``aggregator journal recover`` of the settings' journal, over the settings' connection."""

    help = (
        "Write what dead processes left in the journal of AGGREGATOR. Processes that run flush their own, every "
        "flush_interval and at their end; this one cannot make them."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **given: Any) -> None:
        journal = options().journal
        if journal is None:
            raise CommandError(
                "AGGREGATOR in the settings has no 'journal': what a process counted is in its memory alone, and "
                "written by its own flushes. Nothing was written.",
                returncode=2,
            )
        with told_by_django():
            write_what_is_left(str(journal))
