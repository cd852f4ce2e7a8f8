"""Tests on a real Cassandra, through the real drivers."""
