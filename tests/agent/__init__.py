"""The agent and its intake."""
