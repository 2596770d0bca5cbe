"""Where log events go: JSON lines for collectors, or lines that a person reads on a terminal."""

import logging
import sys

import structlog


def keep_journal(*, log_format: str, is_quiet: bool) -> None:
    """Write log events to standard error; ``is_quiet`` leaves out what went well."""
    is_console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    # Local variables hold passwords: no traceback shows them.
    traceback = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer = console if is_console else structlog.processors.JSONRenderer()
    rendered = [] if is_console else [structlog.processors.ExceptionRenderer(traceback)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *rendered,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING if is_quiet else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
