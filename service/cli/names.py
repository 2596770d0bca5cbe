"""What people type, and the id that they mean."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.catalog.refusal import nearest

MOST_SHOWN = 12


class NameNotUnderstood(Exception):
    """A name that stands for nothing, or for several things."""

    def __init__(self, kind: str, given: str, candidates: Sequence[str], *, is_ambiguous: bool) -> None:
        self.candidates = tuple(candidates)
        shown = ", ".join(self.candidates[:MOST_SHOWN]) + (", ..." if len(self.candidates) > MOST_SHOWN else "")
        if is_ambiguous:
            message = f"{given!r} can mean {len(self.candidates)} {kind}s: {shown}"
        else:
            message = f"There is no {kind} {given!r}." + (f" Did you mean {shown}?" if shown else "")
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """A model of the catalog, or the config.json of another."""

    model: str
    config_json: str | None = None


def model_named(given: str, known: Callable[[], Iterable[str]]) -> NamedModel:
    """Return the model that ``given`` stands for: a path to a config.json, an id, or an unambiguous part of one."""
    path = Path(given)
    if given.endswith(".json") or path.is_file():
        return _described(path)
    return NamedModel(model=identified("model", given, known()))


def identified(kind: str, given: str, known: Iterable[str]) -> str:
    """Return the one id that ``given`` stands for; the strictest reading that finds anything decides."""
    ids = sorted(known)
    for is_meant in _readings(given):
        if found := [candidate for candidate in ids if is_meant(candidate)]:
            if len(found) > 1:
                raise NameNotUnderstood(kind, given, found, is_ambiguous=True)
            return found[0]
    raise NameNotUnderstood(kind, given, nearest(given, ids), is_ambiguous=False)


def _readings(given: str) -> tuple[Callable[[str], bool], ...]:
    low, words = given.lower(), _words(given)
    return (
        lambda candidate: candidate == given,
        lambda candidate: candidate.lower() == low,
        lambda candidate: _short(candidate) == low,
        lambda candidate: bool(words) and _words(candidate) == words,
        lambda candidate: bool(words) and words <= _words(candidate),
        lambda candidate: _short(candidate).startswith(low),
        lambda candidate: bool(words) and all(word in candidate.lower() for word in words),
    )


def _short(candidate: str) -> str:
    return candidate.lower().rpartition("/")[2]


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9.]+", text.lower()))


def _described(path: Path) -> NamedModel:
    try:
        config_json = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise NameNotUnderstood("file", str(path), (), is_ambiguous=False) from failure
    is_generic = path.stem == "config" and path.absolute().parent.name
    return NamedModel(model=path.absolute().parent.name if is_generic else path.stem, config_json=config_json)
