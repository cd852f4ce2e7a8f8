"""
``aggregator unknown list`` and ``resolve``: deltas whose fate the database did not tell, and those it refused.

Rules that live here: an id is the endpoint's, and names what was shown: what was parked since stays. Of several
processes the one that knows the id resolves it. A journal is only looked at.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer

from aggregator.cli.failure import USAGE, Failure
from aggregator.cli.stats_endpoint import Endpoint, Refused
from aggregator.cli.stats_journal import held
from aggregator.cli.stats_source import AsJson, Journal, Source, Url, source
from aggregator.cli.terminal import complain, say, say_wrapped

unknown = typer.Typer(help="Deltas of unknown fate, and refused ones: list them, decide on one.", no_args_is_help=True)


class Parked(msgspec.Struct):
    """One row set apart; ``id`` is None where only its process could resolve it; ``fate`` unknown or rejected."""

    id: str | None
    table: str
    key: dict[str, Any]
    deltas: dict[str, int]
    at: datetime
    times: int
    reason: str
    connection: str = "default"
    fate: str = "unknown"


@unknown.command("list")
def list_(url: Url = None, journal: Journal = None, as_json: AsJson = False) -> None:
    """
    List the rows set apart: of unknown fate, and refused by the database.

    Each with the id by which it is resolved. From a journal they come without: only the process that has the slot can
    resolve them.

    Exit code: 0 done, whatever is found; 1 nobody answers there; 2 usage.
    """
    where = source(url, journal)
    found = list(_of_journal(where) if where.directories else _of_processes(where))
    if as_json:
        say(msgspec.json.encode(found, enc_hook=str).decode())
        return
    for each in found:
        _show(each)
    if not found:
        say("nothing is set apart")
    elif where.directories:
        say_wrapped("To resolve them, ask the process that has the slot (--url), or start the application again.")


@unknown.command()
def resolve(
    item: Annotated[str, typer.Argument(metavar="ID", help="An id that `aggregator unknown list` shows.")],
    url: Url = None,
    apply: Annotated[bool, typer.Option("--apply", help="Count it once more: back to pending.")] = False,
    discard: Annotated[bool, typer.Option("--discard", help="Give it up: counted as dropped.")] = False,
) -> None:
    """
    Decide on a row set apart: count it once more, or give it up.

    Only over a socket file, as the same user, or with the token in AGGREGATOR_STATUS_TOKEN. If the database did apply
    what is applied again, it counts twice; if it did not apply what is discarded, it is lost: compare the stored total
    first.

    Exit code: 0 resolved; 1 not, nothing was changed; 2 usage.
    """
    if apply == discard:
        raise Failure("say which: --apply (count it once more) or --discard (give it up)", USAGE)
    where = source(url, None)
    if where.directories:
        raise Failure("a journal is only looked at: --url of the process that has the slot", USAGE)
    for place in where.endpoints:
        if _resolved(place, item, apply=apply):
            say(f"{item}: {'back to pending' if apply else 'discarded'}")
            return
    raise Failure(f"{item}: nothing with this id is set apart (more of the row may be since: list again)")


def _resolved(place: Endpoint, item: str, *, apply: bool) -> bool:
    """Resolve an item where it is known; False where it is not."""
    try:
        place.post("/resolve", {"id": item, "apply": apply})
    except Refused as refusal:
        if refusal.status == http.client.NOT_FOUND:
            return False
        raise
    return True


def _of_processes(where: Source) -> Iterator[Parked]:
    for place in where.endpoints:
        for fate in ("unknown", "rejected"):
            for each in place.read(f"/{fate}.json", list[Parked]):
                each.fate = fate
                yield each


def _of_journal(where: Source) -> Iterator[Parked]:
    for name, found in held(where.directories):
        if isinstance(found, str):
            complain(f"{name}: {found}; what it holds is not listed")
            continue
        for table in found:
            for fate in ("unknown", "rejected"):
                for key, entry in getattr(table, fate).items():
                    deltas = {column: delta for column, delta in entry.deltas.items() if delta}
                    at = entry.at, entry.times, entry.reason, table.record.connection, fate
                    yield Parked(None, table.name, table.named(key), deltas, *at)


def _show(each: Parked) -> None:
    deltas = " ".join(f"{name}{delta:+,}" for name, delta in each.deltas.items())
    key = " ".join(f"{name}={value!r}" for name, value in each.key.items())
    say(f"{each.id or '-'}  {each.fate}  {deltas}  {each.table} {key}")
    writes = f"{each.times} write" + ("" if each.times == 1 else "s")
    say_wrapped(f"  {writes} since {each.at:%Y-%m-%d %H:%M:%S %Z}: {each.reason}")
