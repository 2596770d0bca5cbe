"""The command ``tonnage``."""


def main() -> None:
    """Run the command line; ends the process with 0, 1 (failed) or 2 (bad input)."""
    from service.cli.command import run  # noqa: PLC0415 - so that nothing is loaded before it is needed

    run()
