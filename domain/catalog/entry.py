"""One table of a release while it is read: every key asked for, typed, and none left over."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import cast, get_args

from domain.catalog.fact import Fact, FactKind
from domain.catalog.limits import misfit

FACT_KINDS: tuple[str, ...] = get_args(FactKind)
BLANK_KINDS = ("unknown", "unsupported")
FACT_KEYS = ("value", "kind", "source", "note")


class Ledger:
    """What reading found: facts by path, sources that were named, and every problem."""

    def __init__(self, sources: Iterable[str]) -> None:
        self.sources = frozenset(sources)
        self.facts: dict[str, Fact] = {}
        self.problems: list[str] = []
        self.named: set[str] = set()

    def refuse(self, path: str, problem: str) -> None:
        """Note a problem; reading goes on, so that all problems are reported at once."""
        self.problems.append(f"{path}: {problem}")

    def name(self, path: str, source: object) -> str:
        """Note that ``path`` rests on ``source``."""
        if not isinstance(source, str) or not source:
            self.refuse(path, "no source")
            return ""
        if source not in self.sources:
            self.refuse(path, f"source {source!r} is not in the table of sources{_offer(source, self.sources)}")
        self.named.add(source)
        return source


class Entry:
    """A table of the release under its path; a key that nobody asks for is a problem."""

    def __init__(self, path: str, content: object, ledger: Ledger) -> None:
        self.path = path
        self.ledger = ledger
        self._asked: set[str] = set()
        self._content: Mapping[str, object] = {}
        if isinstance(content, Mapping):
            self._content = content
        else:
            self.refuse("", "is not a table")

    @property
    def key(self) -> str:
        """Name of the entry: the path less its section."""
        return self.path.partition("/")[2]

    def refuse(self, name: str, problem: str) -> None:
        """Note a problem with the key ``name``, or with the entry itself."""
        self.ledger.refuse(f"{self.path}/{name}" if name else self.path, problem)

    def has(self, name: str) -> bool:
        """Whether the key is there."""
        return name in self._content

    def holds_table(self, name: str) -> bool:
        """Whether the key is there and holds a table."""
        return isinstance(self._content.get(name), Mapping)

    def names(self) -> tuple[str, ...]:
        """Return every key of the table."""
        return tuple(self._content)

    def value(self, name: str) -> object:
        """Return what the key holds, unchecked; None where it is missing."""
        self._asked.add(name)
        return self._content.get(name)

    def text(self, name: str, *, empty: bool = False) -> str:
        """Return a text; an absent one only where ``empty`` is allowed."""
        value = self.value(name)
        if value is None and empty:
            return ""
        if isinstance(value, str) and (value.strip() or empty):
            return value
        self.refuse(name, _text_problem(value))
        return ""

    def texts(self, name: str, *, empty: bool = False) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self.value(name)
        if value is None and empty:
            return ()
        if isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            if not value and not empty:
                self.refuse(name, "is empty")
            return tuple(value)
        self.refuse(name, "is missing" if value is None else "is not a list of texts")
        return ()

    def choice(self, name: str, options: Iterable[str]) -> str:
        """Return a text out of ``options``."""
        value, known = self.text(name), tuple(options)
        if value and value not in known:
            self.refuse(name, f"{value!r} is not one of {', '.join(known)}{_offer(value, known)}")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self.value(name)
        if isinstance(value, bool):
            return value
        self.refuse(name, "is missing" if value is None else "is neither true nor false")
        return False

    def whole(self, name: str) -> int:
        """Return a whole number that is not negative."""
        value = self.value(name)
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 0:
                self.refuse(name, f"{value} is negative")
            return value
        self.refuse(name, "is missing" if value is None else "is not a whole number")
        return 0

    def number(self, name: str) -> float:
        """Return a bare number: a size of the architecture, which shares its entry's source."""
        return self._checked(name, self.value(name))

    def fact(self, name: str) -> float | None:
        """Return the value of a fact and keep the fact under its path; None where the release says unknown."""
        content = self.value(name)
        if not isinstance(content, Mapping):
            self.refuse(name, "is missing" if content is None else "is a bare value; a number needs kind and source")
            return None
        path = f"{self.path}/{name}"
        fact = Fact(
            value=self._fact_value(name, content),
            kind=self._fact_kind(name, content),
            source=self.ledger.name(path, content.get("source")),
            note=self._fact_note(name, content),
        )
        refuse_unknown_keys(self.ledger, path, content, FACT_KEYS)
        self.ledger.facts[path] = fact
        return cast("float | None", fact.value)

    def known(self, name: str) -> float:
        """Return the value of a fact that may not be blank."""
        problems = len(self.ledger.problems)
        value = self.fact(name)
        if value is None and len(self.ledger.problems) == problems:
            self.refuse(name, "may not be unknown")
        return 0.0 if value is None else value

    def inside(self, name: str) -> "Entry":
        """Return the table under the key as an entry of its own."""
        return Entry(f"{self.path}/{name}", self.value(name) if self.has(name) else self._absent(name), self.ledger)

    def each(self, name: str) -> Iterator[tuple[str, "Entry"]]:
        """Yield the tables of a table of tables."""
        content = self.value(name)
        if not isinstance(content, Mapping) or not content:
            self.refuse(name, "is missing" if content is None else "is not a table of tables")
            return
        for key, value in content.items():
            yield key, Entry(f"{self.path}/{name}/{key}", value, self.ledger)

    def sources(self) -> tuple[str, ...]:
        """Return the sources of everything in the entry that is not a fact of its own."""
        return tuple(self.ledger.name(f"{self.path}/sources", source) for source in self.texts("sources"))

    def close(self) -> None:
        """Refuse every key that was not asked for: a misspelt key must not pass as an absent one."""
        refuse_unknown_keys(self.ledger, self.path, self._content, self._asked)

    def _absent(self, name: str) -> Mapping[str, object]:
        self.refuse(name, "is missing")
        return {}

    def _checked(self, name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(name, "is missing" if value is None else "is not a number")
            return 0.0
        problem = misfit(name, float(value))
        if problem:
            self.refuse(name, problem)
        return float(value)

    def _fact_kind(self, name: str, content: Mapping[str, object]) -> FactKind:
        kind = content.get("kind")
        if kind in FACT_KINDS:
            return cast("FactKind", kind)
        known = ", ".join(FACT_KINDS)
        unknown = f"kind {kind!r} is not one of {known}{_offer(str(kind), FACT_KINDS)}"
        self.refuse(name, "no kind" if kind is None else unknown)
        return "assumed"

    def _fact_value(self, name: str, content: Mapping[str, object]) -> float | None:
        if content.get("kind") in BLANK_KINDS:
            if "value" in content:
                self.refuse(name, f"kind {content['kind']!r} carries no value")
            return None
        if "value" not in content:
            self.refuse(name, "no value; where it is not known write kind = 'unknown'")
            return None
        return self._checked(name, content["value"])

    def _fact_note(self, name: str, content: Mapping[str, object]) -> str:
        note = content.get("note", "")
        if isinstance(note, str):
            return note
        self.refuse(name, "the note is not a text")
        return ""


def _text_problem(value: object) -> str:
    if value is None:
        return "is missing"
    return "is empty" if isinstance(value, str) else "is not a text"


def refuse_unknown_keys(ledger: Ledger, path: str, content: Mapping[str, object], known: Iterable[str]) -> None:
    """Refuse keys that are not known, with the known key that each resembles."""
    names = tuple(known)
    for key in content:
        if key not in names:
            ledger.refuse(f"{path}/{key}", f"unknown key{_offer(key, names)}")


def _offer(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, tuple(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
