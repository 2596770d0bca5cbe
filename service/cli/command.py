"""The command line put together: which command is found where, and how errors end it."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from service.cli import accuracy_command, catalog_command, estimate_command, plan_command, serve_command, sizing_command
from service.cli.door import CERTIFICATE, NeedsServer, ServerRefused
from service.cli.names import NameNotUnderstood
from service.cli.request import OptionsRefused, TimeNotUnderstood

FAILED, BAD_INPUT = 1, 2

BAD = (NameNotUnderstood, NeedsServer, OptionsRefused, TimeNotUnderstood)

PLAN = typer.Typer(help="Keep plans on a server: draft, revise, approve, retire, show, list.", no_args_is_help=True)
PLAN.command("draft")(plan_command.draft)
PLAN.command("revise")(plan_command.revise)
PLAN.command("approve")(plan_command.approve)
PLAN.command("retire")(plan_command.retire)
PLAN.command("show")(plan_command.show)
PLAN.command("list")(plan_command.list_plans)

APP = typer.Typer(
    help="Which hardware a language model needs, at which precision, and why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
APP.command("models")(catalog_command.list_models)
APP.command("accelerators")(catalog_command.list_accelerators)
APP.command("precision")(sizing_command.precision)
APP.command("check")(sizing_command.check)
APP.command("size")(sizing_command.size)
APP.add_typer(PLAN, name="plan")
APP.command("history")(plan_command.history)
APP.command("serve")(serve_command.serve)
APP.command("estimate")(estimate_command.estimate)
APP.command("accuracy")(accuracy_command.accuracy)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - only --version needs it

        typer.echo(f"tonnage {version('tonnage')}")
        raise typer.Exit


@APP.callback()
def _tonnage(
    tls: Annotated[
        tuple[Path, Path, Path] | None,
        typer.Option("--tls", metavar="CA CERTIFICATE KEY", help="PEM files for a secured server.", show_default=False),
    ] = None,
    *,
    version: Annotated[  # noqa: ARG001 - its callback has shown it
        bool, typer.Option("--version", callback=lambda wanted: _show_version(wanted=wanted), is_eager=True)
    ] = False,
) -> None:
    """Which hardware a language model needs, at which precision, and why."""
    for path in tls or ():
        if not path.is_file():
            raise typer.BadParameter(f"There is no file {path}.")
    CERTIFICATE.set(tls)


def run() -> None:
    """Run the command that was typed; end with 2 for bad input, with 1 where something failed."""
    if broken := [argument for argument in sys.argv[1:] if not _is_text(argument)]:
        _end([f"{argument!r} is not UTF-8." for argument in broken], BAD_INPUT)
    try:
        APP(prog_name="tonnage")
    except BAD as refused:
        _end(str(refused).split("\n"), BAD_INPUT)
    except ServerRefused as refused:
        _end(str(refused).split("\n"), BAD_INPUT if refused.is_bad_input else FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(FAILED)
    except Exception as raised:
        if (lines := _refused_by_engine(raised)) is None:
            raise
        _end(lines, BAD_INPUT)


def _is_text(argument: str) -> bool:
    """Whether it was typed in UTF-8: other bytes come as surrogates, which no message can carry."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)


def _refused_by_engine(raised: Exception) -> list[str] | None:
    """Return what the catalog, the engine or the contract's rules say against the question; None for a bug."""
    from domain.catalog.refusal import NotInCatalog  # noqa: PLC0415 - only where something went wrong
    from domain.engine.question import QuestionRefused  # noqa: PLC0415 - as above
    from service.api.validation import RequestInvalid  # noqa: PLC0415 - as above

    match raised:
        case QuestionRefused():
            return [str(field) for field in raised.fields]
        case RequestInvalid():
            return [f"{field}: {description}" for field, description in raised.violations]
        case NotInCatalog():
            return [str(raised)]
        case _:
            return None


def _end(lines: list[str], code: int) -> NoReturn:
    from service.cli.screen import complaints  # noqa: PLC0415 - only where something went wrong

    complaints().print("[bold red]error:[/] ", end="")
    for line in lines:
        complaints().print(line, markup=False)
    sys.exit(code)
