"""
The command ``aggregator`` (also ``python -m aggregator``).

Rules that live here: each command is a module of this package; errors are one line on standard error, never a
traceback, but for an error that no command expects where ``AGGREGATOR_TRACEBACK`` is 1; what the libraries log stays
unsaid, since a command reports what went wrong itself.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import coodie
from aggregator.cli.agent import agent
from aggregator.cli.demo import demo
from aggregator.cli.doctor import doctor
from aggregator.cli.failure import NOT_STORED, USAGE, Failure, in_one_line
from aggregator.cli.fold import fold
from aggregator.cli.journal import journal
from aggregator.cli.plan import plan
from aggregator.cli.replay import replay
from aggregator.cli.stats import stats
from aggregator.cli.terminal import complain, say
from aggregator.cli.top import top
from aggregator.cli.unknown import unknown

app = typer.Typer(
    name="aggregator",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(asked: bool) -> None:
    if asked:
        say(f"aggregator {coodie.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Exact, cheap counters on Cassandra, ScyllaDB and SQLite: see them at work, or count what logs hold."""


app.command()(demo)
app.command()(replay)
app.command()(fold)
app.command()(agent)
app.command()(stats)
app.command()(top)
app.add_typer(unknown, name="unknown")
app.command()(plan)
app.command()(doctor)
app.add_typer(journal, name="journal")

# What typer raises for a wrong call; it names the class nowhere, as older versions take it from another package.
_UsageError: type[Exception] = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")

_INTERRUPTED = 130  # what typer makes of a KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 something was not stored or reached, 2 usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        code = _run(given or ["--help"])
    except Failure as failure:
        complain(str(failure))
        code = failure.code
    except _UsageError as error:
        complain(f"{' '.join(error.format_message().split())} (see aggregator --help)")  # type: ignore[attr-defined]  # click's
        code = USAGE
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted; what was not stored until then is lost")
        code = NOT_STORED
    except BrokenPipeError:
        # The reader went away (`aggregator ... | head`); without this Python complains once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = NOT_STORED
    except Exception as error:
        if os.environ.get("AGGREGATOR_TRACEBACK") == "1":
            raise
        complain(in_one_line(error))
        code = NOT_STORED
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """Run one command; return its exit code, or raise what ended it."""
    if sys.stdout is None:
        raise Failure("standard output is closed; nothing was done")
    code = app(arguments, prog_name="aggregator", standalone_mode=False)
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    sys.stdout.flush()
    return code if isinstance(code, int) else 0
