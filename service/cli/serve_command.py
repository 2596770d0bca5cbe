"""The command `serve`."""

from typing import Annotated

import typer


def serve(
    *,
    demonstrate: Annotated[bool, typer.Option("--demonstrate", help="Make one plan first, and print it.")] = False,
) -> None:
    """Serve plans over gRPC until Ctrl-C; what can be set stands in the environment (TONNAGE_...)."""
    from service.__main__ import serve_until_told  # noqa: PLC0415 - every other command starts without the service

    raise typer.Exit(serve_until_told(demonstrate=demonstrate))
