"""The command `estimate`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

Questions = Annotated[
    Path, typer.Argument(help="JSON Lines, one question a line; - reads standard input.", show_default=False)
]


def estimate(questions: Questions) -> None:
    """Predict memory, latency and throughput of configurations: JSON Lines in, JSON Lines out, same order."""
    from service.estimate_lines import answered_lines  # noqa: PLC0415 - every other command does without
    from service.release_files import built_in  # noqa: PLC0415

    for line in answered_lines(_lines(questions), built_in()):
        sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def _lines(questions: Path) -> Iterator[bytes]:
    if str(questions) == "-":
        yield from sys.stdin.buffer
        return
    if not questions.is_file():
        raise typer.BadParameter(f"{questions} is not a file", param_hint="QUESTIONS")
    with questions.open("rb") as lines:
        yield from lines
