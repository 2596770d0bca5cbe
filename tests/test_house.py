"""The rules of the house that no linter knows: sizes, names, documentation, and what the tree may mention."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("domain", "service", "migrations")
TOP_LEVEL_NAMES = (*ROOMS, "tonnage", "buf")

USUAL_BODY_LINES = 20
USUAL_FRACTION = 0.9
MAXIMUM_BODY_LINES = 50
MAXIMUM_FILE_LINES = 400

# They say where code was put, not what it is.
EMPTY_NAMES = frozenset({"utils", "helpers", "common", "base", "core", "misc", "manager", "handler", "processor"})
NUMERICAL_LIBRARIES = {"numba", "numpy"}

# Where an index was reached, or where somebody's checkout lay, is nobody else's concern.
PACKAGE_INDEX = re.compile(r"\b(pypi|pythonhosted|npmjs)\.(org|com|io)\b|--(extra-)?index-url|--find-links")
MACHINE_PATH = re.compile(r"(?<![\w/.~-])/(root|home|work|Users|opt)/\w")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = Function | ast.ClassDef


def files_of(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def body_lines(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def sized_functions() -> Iterator[tuple[str, int]]:
    for path in files_of(*ROOMS):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, Function):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", body_lines(node)


def public(parent: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, Documented]]:
    for node in parent.body:
        if isinstance(node, Documented) and not node.name.startswith("_"):
            yield f"{prefix}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{prefix}{node.name}.")


def imported_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module.partition(".")[0]


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Every text file that is in the repository or about to be."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of the repository's files")
    command = [git, "-C", str(ROOT), "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    kept = ["--cached", "--others", "--exclude-standard"]
    listed = subprocess.run([*command, *kept], check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    contents = [(path, path.read_bytes()) for path in paths if path.is_file()]
    texts_only = [(path, data.decode(errors="replace")) for path, data in contents if b"\0" not in data]
    return tuple((path.relative_to(ROOT).as_posix(), text) for path, text in texts_only)


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number} {line.strip()}"
        for name, text in texts()
        if name != Path(__file__).relative_to(ROOT).as_posix()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_function_is_longer_than_a_screen() -> None:
    assert [f"{name}: {lines} lines" for name, lines in sized_functions() if lines > MAXIMUM_BODY_LINES] == []


def test_nine_functions_of_ten_are_short() -> None:
    sizes = dict(sized_functions())
    long = sorted(((lines, name) for name, lines in sizes.items() if lines >= USUAL_BODY_LINES), reverse=True)
    assert len(long) <= (1 - USUAL_FRACTION) * len(sizes), f"{len(long)} of {len(sizes)} are long: {long}"


def test_no_file_is_too_long_to_read_in_one_sitting() -> None:
    counted = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files_of(*ROOMS)}
    assert {str(path): lines for path, lines in counted.items() if lines > MAXIMUM_FILE_LINES} == {}


def test_modules_are_named_after_what_they_are() -> None:
    paths = [path.relative_to(ROOT).with_suffix("") for path in files_of(*ROOMS, "tests")]
    assert [str(path) for path in paths if EMPTY_NAMES.intersection(path.parts)] == []


def test_everything_public_in_the_domain_is_documented() -> None:
    found = [item for path in files_of("domain") for item in public(tree_of(path), f"{path.relative_to(ROOT)} ")]
    assert [name for name, node in found if not ast.get_docstring(node)] == []


def test_the_domain_needs_only_the_standard_library_and_numerical_libraries() -> None:
    # _typeshed is known to type checkers alone.
    allowed = sys.stdlib_module_names | NUMERICAL_LIBRARIES | {"domain", "_typeshed"}
    imports = [(path, name) for path in files_of("domain") for name in imported_names(tree_of(path))]
    assert [f"{path.relative_to(ROOT)} imports {name}" for path, name in imports if name not in allowed] == []


def test_no_file_names_a_package_index() -> None:
    assert lines_matching(PACKAGE_INDEX) == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert lines_matching(MACHINE_PATH) == []


def test_the_locks_hold_hashes_and_no_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        requirements = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, flags=re.MULTILINE | re.DOTALL)
        assert all("==" in requirement and "--hash=sha256:" in requirement for requirement in requirements)


@pytest.mark.parametrize("name", TOP_LEVEL_NAMES)
def test_no_other_distribution_provides_our_top_level_names(name: str) -> None:
    assert set(metadata.packages_distributions().get(name, [])) <= {"tonnage"}
