"""The rules that stand in the protos, applied: every field that breaks one is named at once."""

from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

if TYPE_CHECKING:
    from protovalidate import Validator


class RequestInvalid(Exception):
    """Fields of the request break the rules of the contract."""

    def __init__(self, violations: tuple[tuple[str, str], ...]) -> None:
        self.violations = violations

    def __str__(self) -> str:
        return "; ".join(f"{field}: {description}" for field, description in self.violations)


def refuse_invalid(request: Message) -> None:
    """Raise `RequestInvalid` where the request breaks rules of the contract."""
    violations = _validator().collect_violations(request)
    if violations:
        raise RequestInvalid(tuple((_path(found.proto), found.proto.message) for found in violations))


@cache
def _validator() -> "Validator":
    from protovalidate import Validator  # noqa: PLC0415 - a command line that only helps does without

    return Validator()


def _path(violation: Any) -> str:  # noqa: ANN401 - the validator's own type is of another runtime
    """Return where in the request a rule is broken, such as ``requirements.size.accelerators[2]``."""
    path = ""
    for element in violation.field.elements:
        path += f".{element.field_name}"
        if element.subscript is not None and element.subscript.field == "index":
            path += f"[{element.subscript.value}]"
    return path.removeprefix(".")
