"""``manage.py aggregator_stats``: what was accepted, applied, is pending, unknown or dropped."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aggregator.cli.stats import stats
from aggregator.integrations.django.management.commands import options, told_by_django


class Command(BaseCommand):  # type: ignore[misc]  # Django has no types of its own
    """``aggregator stats`` at the address, or the journal, of the settings."""

    help = "Show the account of the running processes (AGGREGATOR['status']), or of what their journal holds."
    requires_system_checks = ()

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON value")
        parser.add_argument("--from-journal", action="store_true", help="look into the journal, not at the processes")

    def handle(self, *args: Any, **given: Any) -> None:
        chosen = options()
        status = None if given["from_journal"] else chosen.status
        if status is None and chosen.journal is None:
            raise CommandError(
                "AGGREGATOR in the settings has no 'status' to ask the running processes at, and no 'journal' to look "
                "into; another process's memory cannot be seen: give it one, as in 'status': '127.0.0.1:9464'",
                returncode=2,
            )
        with told_by_django():
            stats([status] if status else None, None if status else str(chosen.journal), as_json=given["json"])
