"""Tables that fit the screen: what matters least is left out and named, and nothing is cut off."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.padding import Padding

from service.cli.screen import screen, table

INDENT = 2
GAP = 3
"""Characters between two columns."""
LEAST_WIDTH = 4


class Column(NamedTuple):
    """A column and what happens to it where the screen is narrow."""

    name: str
    is_figure: bool = False
    wraps: bool = False
    leaves: int = 0
    """Columns that may be left out go in the order of this number; 0 stays."""


def show_fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Print the rows, and below them which columns are left out; return the names of those."""
    room = screen().width - INDENT
    cells = {column: [column.name, *(row[place] for row in rows)] for place, column in enumerate(columns)}
    kept = list(columns)
    for column in sorted((one for one in columns if one.leaves), key=lambda one: one.leaves):
        if _total([_least(one, cells[one]) for one in kept]) <= room:
            break
        kept.remove(column)
    widths = _widths(kept, cells, room)
    figures = [column.name for column in kept if column.is_figure]
    made = table(*(column.name for column in kept), right=figures, wrap=[column.name for column in kept])
    for place, width in enumerate(widths):
        made.columns[place].width, made.columns[place].overflow = width, "fold"
    for number in range(1, len(rows) + 1):
        made.add_row(*(cells[column][number] for column in kept))
    screen().print(Padding(made, (0, 0, 0, INDENT)))
    return _tell_hidden([column.name for column in columns if column not in kept])


def _tell_hidden(names: Sequence[str]) -> tuple[str, ...]:
    if names:
        screen().print(Padding(f"left out, the screen is narrow: {', '.join(names)}", (0, 0, 0, INDENT)), style="dim")
    return tuple(names)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _least(column: Column, cells: Sequence[str]) -> int:
    """Characters without which a word, or a cell that does not wrap, would be broken."""
    pieces = [word for cell in cells for word in cell.split()] if column.wraps else cells
    return max(map(len, pieces), default=LEAST_WIDTH)


def _widths(columns: Sequence[Column], cells: dict[Column, list[str]], room: int) -> list[int]:
    """Widths that fill the room: each its least, and what is left to those that wrap, from the left."""
    widths = [_least(column, cells[column]) for column in columns]
    while _total(widths) > room and max(widths) > LEAST_WIDTH:
        widths[widths.index(max(widths))] -= 1
    for place, column in enumerate(columns):
        wanted = max(map(len, cells[column]))
        widths[place] = max(widths[place], min(wanted, widths[place] + room - _total(widths)))
    return widths
