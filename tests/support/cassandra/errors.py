"""What can go wrong while a Cassandra is being found or started."""

from __future__ import annotations


class NotAvailable(Exception):
    """This machine cannot give the tests a Cassandra; the text says what is missing."""


class StartFailed(Exception):
    """A Cassandra was started and did not get ready; the text ends with its last log lines."""
