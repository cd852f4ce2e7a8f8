"""Tests that break the way to the database, or the database itself, and count what is left."""
