"""The tests, by how much they need: unit and property nothing, integration and faults a real Cassandra."""
