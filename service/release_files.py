"""The release of the catalog that is built in: its files, read and handed to the domain."""

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable

from domain.catalog.parsing import parse
from domain.catalog.release import Catalog

BUILT_IN = "2026-11"


def built_in() -> Catalog:
    """Read the built-in release; takes some tenths of a second, so the caller keeps what it gets."""
    return read(files("domain.catalog").joinpath("releases", BUILT_IN), BUILT_IN)


def read(folder: Traversable, release: str) -> Catalog:
    """Read a release out of a folder of TOML files, folders inside it included."""
    return parse(release, {name: tomllib.loads(text) for name, text in sorted(texts(folder).items())})


def texts(folder: Traversable, prefix: str = "") -> dict[str, str]:
    """Return the text of every TOML file by its name inside the folder."""
    found: dict[str, str] = {}
    for part in folder.iterdir():
        if part.is_dir():
            found |= texts(part, f"{prefix}{part.name}/")
        elif part.name.endswith(".toml"):
            found[prefix + part.name] = part.read_text(encoding="utf-8")
    return found
