"""
Scalars as JSON in the encoding of CQL, each type with its way there and back.

Rules that live here: the way there takes values as they are written or read; the way back takes parsed JSON, numbers
with a point as Decimals, and raises TypeError, ValueError or ArithmeticError for what is no value of the type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address
from typing import Any, NamedTuple
from uuid import UUID

from coodie.durations import CqlDuration
from coodie.floats import in_32_bits, shortest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Coding(NamedTuple):
    """How values of a CQL type become JSON text, and are made from parsed JSON (Decimals for numbers with a point)."""

    text: Callable[[Any], str]
    value: Callable[[Any], Any]


def _given(given: Any, *kinds: type[Any]) -> Any:
    """Return parsed JSON of one of some types; a bool is no number."""
    if not isinstance(given, kinds) or (isinstance(given, bool) and bool not in kinds):
        raise TypeError(f"takes no {type(given).__name__}")
    return given


def _string(given: Any) -> str:
    return str(_given(given, str))


def _quoted(value: Any) -> str:
    return json.dumps(str(value))


def _integer(given: Any) -> int:
    return int(_given(given, int, str))


def _boolean(given: Any) -> bool:
    if isinstance(given, str):
        return {"true": True, "false": False}[given.lower()]
    return bool(_given(given, bool))


def _real_text(value: Any) -> str:
    number = float(value)
    return repr(number) if math.isfinite(number) else f'"{_ENDLESS.get(number, "NaN")}"'


_ENDLESS = {math.inf: "Infinity", -math.inf: "-Infinity"}


def _moment_text(value: datetime) -> str:
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return f'"{moment.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")}Z"'


def _moment(given: Any) -> datetime:
    if isinstance(given, str):
        moment = datetime.fromisoformat(given)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return _EPOCH + timedelta(milliseconds=_integer(given))


def _time_text(value: time) -> str:
    return f'"{value.isoformat(timespec="microseconds")}000"'


def _time(given: Any) -> time:
    return time.fromisoformat(_string(given))  # digits beyond the microsecond are left out


def _blob(given: Any) -> bytes:
    text = _string(given)
    if not text.startswith("0x"):
        raise ValueError("takes 0x and hexadecimal digits")
    return bytes.fromhex(text[2:])


_INTEGER = Coding(lambda value: str(int(value)), _integer)
_UUID = Coding(_quoted, lambda given: UUID(_string(given)))
_REAL = Coding(_real_text, lambda given: float(_given(given, int, Decimal, str)))

SCALARS: dict[str, Coding] = {
    "text": Coding(_quoted, _string),
    "ascii": Coding(_quoted, _string),
    "boolean": Coding(lambda value: str(bool(value)).lower(), _boolean),
    "float": Coding(lambda value: _real_text(shortest(in_32_bits(value))), _REAL.value),
    "double": _REAL,
    "decimal": Coding(_quoted, lambda given: Decimal(_given(given, int, Decimal, str))),
    "blob": Coding(lambda value: f'"0x{bytes(value).hex()}"', _blob),
    "uuid": _UUID,
    "timeuuid": _UUID,
    "timestamp": Coding(_moment_text, _moment),
    "date": Coding(_quoted, lambda given: date.fromisoformat(_string(given))),
    "time": Coding(_time_text, _time),
    "inet": Coding(_quoted, lambda given: ip_address(_string(given))),
    "duration": Coding(_quoted, lambda given: CqlDuration.parse(_string(given))),
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint", "varint", "counter"), _INTEGER),
}
