"""Why an answer is what it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A cause with its code, its sentence, and the bytes that are missing where bytes decide."""

    code: str
    """UPPER_SNAKE, such as ``DOES_NOT_FIT`` or ``HEADS_NOT_DIVISIBLE``."""
    sentence: str
    bytes: float | None = None
    """Shortfall in bytes per device where there is one."""
