"""How answers look: units that people use, tables that line up, colours only on a terminal."""

from collections.abc import Iterable, Sized
from functools import cache

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from domain.engine.answer import Deployment, Layout, Verdict

PIPED = 120
"""Columns that a report takes when nobody says how wide the screen is."""

COLOURS: dict[Verdict, str] = {
    "fits": "bold green",
    "marginal": "bold yellow",
    "does_not_fit": "bold red",
    "impossible": "bold red",
}
WORDS: dict[Verdict, str] = {
    "fits": "fits",
    "marginal": "fits, but marginally",
    "does_not_fit": "does not fit",
    "impossible": "impossible",
}
LAYOUT_NAMES = (
    ("tensor_parallel", "TP"),
    ("pipeline_parallel", "PP"),
    ("expert_parallel", "EP"),
    ("attention_data_parallel", "ADP"),
    ("decode_context_parallel", "DCP"),
    ("replicas", "replicas"),
)


@cache
def screen() -> Console:
    """Return where answers go."""
    console = Console(highlight=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, emoji=False, width=max(console.width, PIPED))


@cache
def complaints() -> Console:
    """Return where errors go."""
    return Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def show_headline(text: str, verdict: Verdict | None = None) -> None:
    """Print the answer."""
    line = Text(text, style="bold")
    if verdict is not None:
        line.append(": ").append(WORDS[verdict], style=COLOURS[verdict])
    screen().print(line)


def show_section(title: str) -> None:
    """Print what the next lines are about."""
    screen().print()
    screen().print(Text(title, style="bold cyan"))


def show_lines(lines: Iterable[str], style: str = "") -> None:
    """Print sentences, one under the other, each wrapped behind its mark."""
    for line in lines:
        grid = Table.grid(padding=(0, 1))
        grid.add_row(Text("-", style="dim"), Text(line, style=style))
        screen().print(Padding(grid, (0, 0, 0, 2)))


def show_rest(items: Sized, most_rows: int | None) -> None:
    """Say how many rows were left out."""
    if most_rows is not None and len(items) > most_rows:
        screen().print(f"  and {len(items) - most_rows} more (--rows {len(items)} shows all)", style="dim")


def table(*columns: str, right: Iterable[str] = (), wrap: Iterable[str] = ()) -> Table:
    """Return an empty table; columns in ``right`` hold figures, those in ``wrap`` may break their lines."""
    made = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", no_wrap=name not in wrap)
    return made


def gb(size_bytes: float) -> str:
    """Return bytes in decimal gigabytes."""
    return f"{size_bytes / 1e9:,.1f}"


def gib(size_bytes: float) -> str:
    """Return bytes in binary gigabytes."""
    return f"{size_bytes / 2**30:,.1f}"


def usd(price_usd_per_hour: float | None) -> str:
    """Return a price, or a dash."""
    return "-" if price_usd_per_hour is None else f"{price_usd_per_hour:,.2f}"


def nodes(node_count: float | None) -> str:
    """Return nodes, the share of one to two digits, or a dash."""
    if node_count is None:
        return "-"
    return f"{node_count:.2g}" if node_count < 1 else f"{node_count:.2f}".rstrip("0").rstrip(".")


def kw(power_w: float | None) -> str:
    """Return power in kilowatts, or a dash."""
    return "-" if power_w is None else f"{power_w / 1e3:,.1f}"


def tflops(rate_flops_per_s: float | None) -> str:
    """Return a rate in teraflops, or a dash."""
    return "-" if rate_flops_per_s is None else f"{rate_flops_per_s / 1e12:,.4g}"


def billions(count: float) -> str:
    """Return a count of parameters in billions."""
    return f"{count / 1e9:,.1f}" if count >= 1e10 else f"{count / 1e9:,.2f}"  # noqa: PLR2004 - ten billion


def whole(count: float) -> str:
    """Return a whole number."""
    return f"{count:,.0f}"


def weights(deployment: Deployment) -> str:
    """Return the format of the weights, and how it is brought there where it is not stored so."""
    way = deployment.way
    return way.number_format if way.path == "native" else f"{way.number_format} {way.path.replace('_', '-')}"


def layout(divided: Layout) -> str:
    """Return the parts of a layout that divide something, such as ``TP 8, PP 2``."""
    parts = [f"{short} {value}" for name, short in LAYOUT_NAMES if (value := getattr(divided, name)) > 1]
    return ", ".join(parts) or "one device"
