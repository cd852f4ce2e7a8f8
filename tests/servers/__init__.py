"""The integrations under the servers people run: processes of their own, driven over HTTP."""
