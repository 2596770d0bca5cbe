"""Estimates as JSON Lines: one question a line in, one answer or error a line out, in the same order."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, asdict, fields
from types import NoneType
from typing import Any, cast, get_args, get_type_hints

import orjson

from domain.catalog.release import Catalog
from domain.engine.answer import EstimateAnswer, EstimateRequest, FieldRefusal, QuestionRefused, estimate

HINTS = get_type_hints(EstimateRequest)
REQUIRED = tuple(field.name for field in fields(EstimateRequest) if field.default is MISSING and field.name != "id")
SHOWN_AS_MAPPINGS = {"interval_90": "metric", "parts": "name"}
"""Lists of the answer that a reader looks up by name."""


def answered_lines(lines: Iterable[bytes | str], catalog: Catalog) -> Iterator[bytes]:
    """Answer every line that is not blank; a line that cannot be answered becomes an error object."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield orjson.dumps(_answer(line, number, catalog), option=orjson.OPT_APPEND_NEWLINE)


def _answer(line: bytes | str, number: int, catalog: Catalog) -> dict[str, object]:
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError as broken:
        return _error("", number, (FieldRefusal(field="line", given=f"no JSON ({broken})", allowed="a JSON object"),))
    if not isinstance(content, dict):
        return _error("", number, (FieldRefusal(field="line", given=type(content).__name__, allowed="a JSON object"),))
    identity = str(content.get("id", number))
    try:
        return answer_object(estimate(catalog, request_of(content, identity)))
    except QuestionRefused as refused:
        return _error(identity, number, refused.fields)


def _error(identity: str, number: int, refusals: tuple[FieldRefusal, ...]) -> dict[str, object]:
    return {
        "id": identity or str(number),
        "error": {
            "reason": "QUESTION_REFUSED",
            "message": "; ".join(str(refusal) for refusal in refusals),
            "fields": [asdict(refusal) for refusal in refusals],
        },
    }


def request_of(content: Mapping[str, object], identity: str) -> EstimateRequest:
    """Read a request; a blank text or null is a field that was not given. Raises `QuestionRefused`."""
    given = {name: value for name, value in content.items() if value is not None and value != "" and name != "id"}
    refusals = [_unknown(name) for name in given if name not in HINTS]
    refusals += [
        FieldRefusal(field=name, given="nothing", allowed="required") for name in REQUIRED if name not in given
    ]
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in HINTS:
            values[name] = _typed(name, value, refusals)
    if refusals:
        raise QuestionRefused(tuple(refusals))
    return EstimateRequest(id=identity, **values)


def _unknown(name: str) -> FieldRefusal:
    return FieldRefusal(field=name, given="a field that is not known", allowed=f"one of {', '.join(HINTS)}")


def _typed(name: str, value: object, refusals: list[FieldRefusal]) -> object:
    """Return ``value`` as the field's type; whole numbers may come as floats and floats as whole numbers."""
    kinds = [kind for kind in (get_args(HINTS[name]) or (HINTS[name],)) if kind is not NoneType]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if bool in kinds and isinstance(value, bool):
        return value
    if str in kinds and isinstance(value, str):
        return value
    if float in kinds and is_number:
        return float(cast("float", value))
    if int in kinds and is_number and float(cast("float", value)).is_integer():
        return int(cast("float", value))
    names = " or ".join(kind.__name__ for kind in kinds)
    refusals.append(FieldRefusal(field=name, given=repr(value), allowed=f"a value of type {names}"))
    return None


def answer_object(answer: EstimateAnswer) -> dict[str, object]:
    """Return an answer as it is written: memory at the top, intervals and parts by name."""
    content = asdict(answer)
    deployment = content["deployment"]
    content["memory"] = None if deployment is None else _memory(deployment["memory"])
    for name, key in SHOWN_AS_MAPPINGS.items():
        content[name] = {entry.pop(key): entry for entry in content[name]}
    return content


def _memory(memory: dict[str, Any]) -> dict[str, Any]:
    return memory | {"weights_by_component_bytes": dict(memory["weights_by_component_bytes"])}
