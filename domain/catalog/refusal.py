"""What the catalog refuses: content that is not as it should be, and names it does not have."""

from collections.abc import Iterable
from difflib import get_close_matches

NAMES_OFFERED = 3


class CatalogError(ValueError):
    """The release does not say what a release must say; every problem is named by the path of its fact."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(self.problems))


class NotInCatalog(LookupError):
    """The catalog has nothing of this name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        self.nearest = nearest(name, known)
        offer = f"; nearest: {', '.join(self.nearest)}" if self.nearest else ""
        super().__init__(f"The catalog has no {kind} {name!r}{offer}.")


class UnknownModel(NotInCatalog):
    """The catalog has no model of this name, and no alias either."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__("model", name, known)


class UnknownAccelerator(NotInCatalog):
    """The catalog has no accelerator of this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__("accelerator", name, known)


def nearest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the names most like ``name``, the likeliest first; letter case is not looked at."""
    by_lower: dict[str, str] = {}
    for candidate in sorted(known):
        by_lower.setdefault(candidate.lower(), candidate)
        by_lower.setdefault(candidate.lower().rpartition("/")[2], candidate)
    close = get_close_matches(name.lower(), by_lower, n=NAMES_OFFERED * 2, cutoff=0.3)
    return tuple(dict.fromkeys(by_lower[match] for match in close))[:NAMES_OFFERED]
