"""The driver over acsylla, which is natively asynchronous; the package is not imported before this one."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("acsylla") is None:
    raise ImportError("coodie.drivers.acsylla needs the package acsylla: pip install acsylla", name="acsylla")

from coodie.drivers.acsylla.driver import AcsyllaDriver

__all__ = ["AcsyllaDriver"]
