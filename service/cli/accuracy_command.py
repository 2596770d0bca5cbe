"""The command `accuracy`."""

from pathlib import Path
from typing import Annotated

import typer

LogFiles = Annotated[
    list[Path], typer.Argument(help="CSV files of start-up logs.", exists=True, dir_okay=False, show_default=False)
]


def accuracy(files: LogFiles) -> None:
    """Compare what engines printed at start with what the engine here says, each model family left out in turn."""
    from service.accuracy import memory_report, print_report  # noqa: PLC0415 - every other command does without
    from service.cli.screen import screen  # noqa: PLC0415 - as above
    from service.release_files import built_in  # noqa: PLC0415 - as above

    try:
        report = memory_report(built_in(), files)
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from problem
    print_report(report, screen())
