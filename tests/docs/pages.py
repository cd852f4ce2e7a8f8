"""
A page of the guide as one program, and what each part of it ought to print.

Rules that live here:

* Every ``python`` block runs, one after the other, in one namespace; a ``text`` block right behind it is what it
  prints, and without one it prints nothing.
* Below the head ``| call | error | text |`` a row whose first two cells are code is run too: it raises the error of the
  second, with the text of the third where that is code. ``...`` in a text stands for anything.
* A line of the program is the line of the page, so a traceback leads to the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

PROLOGUE = "from tests.docs.pages import attempt, begin"
_BREAK = "\f"
_HEAD = "| call | error | text |"
_ROW = re.compile(r"\| `([^`|]+)` \| `(\w+)` \| (?:`([^`]+)` \|)?")


@dataclass
class Program:
    """The source of a page's program; ``expected`` holds the text each part prints, by the line it begins on."""

    source: str
    expected: dict[int, str]


def program_of(page: str) -> Program:
    """Turn a page into its program."""
    lines, source, expected = page.splitlines(), [], {}
    language, part, output, calls = None, 0, False, False
    for number, line in enumerate(lines, 1):
        code, calls = "", line == _HEAD or (calls and line.startswith("|"))
        if language is not None and line == "```":
            language, output = None, language == "python"
        elif language == "python":
            code = line
        elif language is not None:
            expected[part] = expected.get(part, "") + (f"{line}\n" if output else "")
        elif line.startswith("```"):
            language = line[3:]
            if language == "python":
                code, part, expected[number] = f"begin({number})", number, ""
        elif calls and (row := _ROW.match(line)):
            code = f"attempt({number}, lambda: {row[1]})"
            expected[number] = f"{row[2]}: {row[3] or '...'}\n"
        output = output and not code and (line in ("", "```") or language == "text")
        source.append(code)
    return Program("\n".join([PROLOGUE, *source[1:]]), expected)


def differences(expected: dict[int, str], output: str) -> Iterator[str]:
    """Compare what a program printed with what its page says, part by part."""
    parts = (part.partition("\n") for part in output.split(_BREAK)[1:])
    printed = {int(number): text for number, _, text in parts}
    for line, text in expected.items():
        pattern = re.escape(text).replace(re.escape("..."), ".*")
        if not re.fullmatch(pattern, printed.get(line, ""), re.DOTALL):
            yield f"line {line} says\n{text}and prints\n{printed.get(line, 'nothing')}"


def begin(line: int) -> None:
    """Say which part of the page is about to run."""
    print(f"{_BREAK}{line}")


def attempt(line: int, call: Callable[[], Any]) -> None:
    """Run the code of a table's row and tell its error."""
    begin(line)
    try:
        call()
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
