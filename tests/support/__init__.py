"""What the tests lean on: a real Cassandra and a proxy that misbehaves on command."""
