"""Reading a config.json field by field: what is read is remembered, what is wrong is collected."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from domain.catalog.huggingface.harmless import is_harmless, is_structural

MOST = 1 << 24
"""No width, count or vocabulary of a language model comes near it; a larger figure is a slip."""
MOST_LAYERS = 1_000
MOST_RATIO = 1_000
SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """One field of a config that cannot be used."""

    field: str
    given: str
    """What stands there; ``nothing`` where the field is missing."""
    allowed: str


class ConfigError(ValueError):
    """The config does not describe a model that we understand; every field at fault is named at once."""

    def __init__(self, problems: Iterable[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "; ".join(f"{problem.field}: {problem.given} given, {problem.allowed} allowed" for problem in self.problems)
        )


def shown(value: object) -> str:
    """Return a value as a person may read it, cut to a line."""
    if value is None:
        return "nothing"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list within itself
        text = f"an endless {type(value).__name__}"
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


class Fields:
    """A config, or a part of one, that notes what was read of it.

    A getter that finds a fault notes it and returns a value that reading can go on with; `problems` tells at the end.
    A null is a missing field, as it is for transformers.
    """

    def __init__(self, given: Mapping[Any, object], path: str = "", parent: "Fields | None" = None) -> None:
        self._given = given
        self._defaults: Mapping[str, object] = {}
        self._path = path
        self._read: set[str] = set()
        self.problems: list[FieldProblem] = parent.problems if parent else []
        self.remarks: list[str] = parent.remarks if parent else []

    def names(self) -> tuple[str, ...]:
        """Return the names of all fields."""
        return tuple(name for name in self._given if isinstance(name, str))

    def level(self, layers: int, *names: str) -> None:
        """Take a list of the same number for each layer as that number."""
        for name in names:
            value = self._given.get(name)
            if isinstance(value, (list, tuple)) and len(value) == layers and all(_whole(v, 0, MOST) for v in value):
                if len(set(value)) == 1:
                    self._given = {**self._given, name: value[0]}
                else:
                    self.refuse(name, "the same number for each layer")

    def told(self) -> str:
        """Return the whole of it as a person may read it."""
        return shown(dict(self._given))

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._given.get(name) is not None

    def states(self, *names: str) -> bool:
        """Whether any of the fields is there, be it null: a null is a statement where a missing field is none."""
        return any(name in self._given for name in names)

    def demand(self, allowed: str, *names: str) -> None:
        """Refuse a config that has the field under none of its names, not even null."""
        if not self.states(*names):
            self.refuse(names[0], allowed)

    def raw(self, name: str) -> object:
        """Return the field as it stands, and take it as read."""
        self._read.add(name)
        value = self._given.get(name)
        if value is None and name in self._defaults:
            value = self._defaults[name]
            self.remark(f"{self._path}{name} is missing; {value}, the default of transformers, is taken.")
        return value

    def refuse(self, name: str, allowed: str) -> None:
        """Note that the field cannot be used as it stands."""
        problem = FieldProblem(field=self._path + name, given=shown(self._given.get(name)), allowed=allowed)
        if problem not in self.problems:
            self.problems.append(problem)

    def remark(self, sentence: str) -> None:
        """Note what the reader of the model must know."""
        if sentence not in self.remarks:
            self.remarks.append(sentence)

    def size(self, *names: str, default: int | None = None, least: int = 1, most: int = MOST) -> int:
        """Read a whole number under any of its names; without a default it must be there."""
        found = self.optional_size(*names, least=least, most=most)
        if found is not None:
            return found
        if default is not None:
            return default
        if not any(self.has(name) for name in names):
            others = tuple(dict.fromkeys(name for name in names[1:] if name != names[0]))
            elsewhere = f" (or under {', '.join(others)})" if others else ""
            self.refuse(names[0], f"a whole number from {least} to {most}{elsewhere}")
        return max(least, 1)

    def optional_size(self, *names: str, least: int = 1, most: int = MOST) -> int | None:
        """Read a whole number that may be missing; several names must agree."""
        values: dict[str, int] = {}
        for name in names:
            value = self.raw(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                self.refuse(name, f"a whole number from {least} to {most}")
            else:
                values[name] = value
        if len(set(values.values())) > 1:
            for name in values:
                self.refuse(name, f"one value for {' and '.join(values)}")
        return next(iter(values.values()), None)

    def layer_count(self, *names: str) -> int:
        """Read how many layers there are."""
        return self.size(*(names or ("num_hidden_layers", "n_layer", "num_layers")), most=MOST_LAYERS)

    def flag(self, name: str, *, default: bool) -> bool:
        """Read a truth value."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(name, "true or false")
            return default
        return value

    def text(self, name: str, choices: Iterable[str] = (), default: str = "") -> str:
        """Read a text, one of ``choices`` where there are any."""
        value = self.raw(name)
        if value is None:
            return default
        allowed = tuple(choices)
        if not isinstance(value, str) or (allowed and value not in allowed):
            self.refuse(name, " or ".join(allowed) if allowed else "a text")
            return default
        return value

    def labels(self, name: str, length: int, choices: Iterable[str]) -> tuple[str, ...] | None:
        """Read one label for each layer; None where the field is missing or at fault."""
        value = self.raw(name)
        if value is None:
            return None
        allowed = tuple(choices)
        if not isinstance(value, (list, tuple)) or len(value) != length or not all(item in allowed for item in value):
            self.refuse(name, f"a list of {length} out of {', '.join(allowed)}")
            return None
        return tuple(value)

    def numbers(self, name: str, length: int, *, least: int = 0, most: int = MOST) -> tuple[int, ...] | None:
        """Read one whole number for each layer; None where the field is missing or at fault."""
        value = self.raw(name)
        if value is None:
            return None
        if (
            not isinstance(value, (list, tuple))
            or len(value) != length
            or not all(_whole(v, least, most) for v in value)
        ):
            self.refuse(name, f"a list of {length} whole numbers from {least} to {most}")
            return None
        return tuple(value)

    def chosen_layers(self, name: str, length: int) -> frozenset[int]:
        """Read a list of layer numbers."""
        value = self.raw(name)
        if value is None:
            return frozenset()
        if (
            not isinstance(value, (list, tuple))
            or len(value) > length
            or not all(_whole(v, 0, length - 1) for v in value)
        ):
            self.refuse(name, f"a list of layer numbers from 0 to {length - 1}")
            return frozenset()
        return frozenset(value)

    def repeats(self, part: "Fields") -> None:
        """Take fields as read that ``part`` states too, to the same effect."""
        for name in self.names():
            if name in self._read or not part.has(name) or is_harmless(name):
                continue
            if shown(part.raw(name)) == shown(self._given[name]):
                self._read.add(name)

    def with_defaults(self, defaults: Mapping[str, object]) -> "Fields":
        """Look missing fields up in ``defaults`` from now on."""
        self._defaults = defaults
        return self

    def inside(self, name: str) -> "Fields | None":
        """Enter a part of the config; None where it is missing or at fault."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.refuse(name, "an object")
            return None
        return Fields(value, f"{self._path}{name}.", self)

    def item(self, name: str, index: int) -> "Fields | None":
        """Enter one object of a list; None where it is no object."""
        value = self.raw(name)
        item = value[index] if isinstance(value, (list, tuple)) and index < len(value) else None
        if not isinstance(item, Mapping):
            self.refuse(name, "a list of objects")
            return None
        return Fields(item, f"{self._path}{name}[{index}].", self)

    def ratio(self, name: str) -> float | None:
        """Read a number above 0 that need not be whole."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MOST_RATIO:
            self.refuse(name, f"a number above 0, at most {MOST_RATIO}")
            return None
        return float(value)

    def known(self, *names: str) -> None:
        """Take fields as read that say nothing about weights or caches in this architecture."""
        self._read.update(names)

    def unused_sizes(self, *names: str) -> None:
        """Take sizes as read that this architecture has no use for, if they are sizes at all."""
        for name in names:
            self.optional_size(name, least=0)

    def only_off(self, *names: str) -> None:
        """Refuse features that we do not understand, unless they are switched off."""
        for name in names:
            if _is_on(self.raw(name)):
                self.refuse(name, "off (not understood when it is on)")

    def close(self, *, spared: re.Pattern[str] | None = None) -> None:
        """Refuse fields that nobody read and that may change weights or caches; remark upon the other unknown ones.

        Fields whose name matches ``spared`` are let pass.
        """
        for name, value in self._given.items():
            if not isinstance(name, str):
                self.problems.append(FieldProblem(field=self._path, given=shown(name), allowed="names of fields"))
            elif not (name in self._read or is_harmless(name) or (spared and spared.search(name))) and _is_on(value):
                self._judge_unread(name)

    def _judge_unread(self, name: str) -> None:
        if is_structural(name):
            self.refuse(name, "only fields that we understand; this one may change weights or caches")
        else:
            self.remark(f"{self._path}{name} is not known and was taken to change neither weights nor caches.")


def _whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_on(value: object) -> bool:
    empty = isinstance(value, (list, tuple, Mapping)) and not value
    return not empty and value not in (None, False, 0, "", "none")
