"""How the answer to `size` looks."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from rich.padding import Padding

from domain.engine.answer import Candidate, Deployment, Rejection, SizeAnswer
from service.cli.check_report import show_published, show_statements
from service.cli.screen import (
    gb,
    is_narrow,
    kw,
    layout,
    screen,
    show_headline,
    show_lines,
    show_rest,
    show_section,
    table,
    usd,
    weights,
)

MOST_NAMED = 6

COUNT_LEGEND = "count: recommended, whole nodes with room to spare; with ! there is none, and the smallest is shown."
SMALLEST_LEGEND = "smallest: any layout / whole nodes."


def show_size(answer: SizeAnswer, *, most_rows: int) -> None:
    """Print the sentence, the candidates with a price and those without, and what was ruled out."""
    show_headline(answer.sentence)
    _show_candidates("Recommended on each, by rent", answer.candidates, most_rows)
    _show_candidates("Recommended on each, no price known, by count", answer.unpriced, most_rows)
    if not (answer.candidates or answer.unpriced):
        screen().print("Nothing holds it.", style="bold red")
    screen().print(COUNT_LEGEND if is_narrow() else f"{COUNT_LEGEND} {SMALLEST_LEGEND}", style="dim")
    _show_rejections(answer.rejections, most_rows)
    show_published(answer.published, most_rows)
    show_statements(answer.statements)


def _show_candidates(title: str, candidates: Sequence[Candidate], most_rows: int) -> None:
    if not candidates:
        return
    show_section(title)
    figures = ("count", "nodes", "USD/h", *(() if is_narrow() else ("kW", "headroom GB", "smallest")))
    rows = table("accelerator", "weights", *figures[:2], "layout", *figures[2:], right=figures, wrap=("layout",))
    for candidate in candidates[:most_rows]:
        rows.add_row(*_row(candidate))
    screen().print(Padding(rows, (0, 0, 0, 2)))
    show_rest(candidates, most_rows)
    show_lines(_remarks(candidates[:most_rows]), style="dim")


def _row(candidate: Candidate) -> Iterable[str]:
    shown = candidate.recommended or candidate.smallest_deployable or candidate.smallest_by_memory
    yield shown.accelerator
    yield weights(shown)
    yield f"{shown.accelerator_count}{'' if candidate.recommended else ' !'}"
    yield "-" if shown.node_count is None else f"{shown.node_count:.3g}"
    yield layout(shown.layout)
    yield usd(shown.cost_usd_per_hour)
    if not is_narrow():
        yield kw(shown.power_w)
        yield gb(shown.memory.headroom_bytes)
        yield f"{_count(candidate.smallest_by_memory)} / {_count(candidate.smallest_deployable)}"


def _remarks(candidates: Sequence[Candidate]) -> Iterator[str]:
    for candidate in candidates:
        for reason in candidate.reasons:
            shown = candidate.smallest_by_memory
            yield f"{shown.accelerator}, {weights(shown)}: {reason.sentence} ({reason.code})"


def _count(deployment: Deployment | None) -> str:
    return "-" if deployment is None else str(deployment.accelerator_count)


def _show_rejections(rejections: Sequence[Rejection], most_rows: int) -> None:
    if not rejections:
        return
    show_section("Ruled out")
    by_code: dict[str, list[Rejection]] = defaultdict(list)
    for rejection in rejections:
        by_code[rejection.reason.code].append(rejection)
    show_lines(_summary(code, found, most_rows) for code, found in by_code.items())


def _summary(code: str, found: Sequence[Rejection], most_rows: int) -> str:
    if len(found) == 1:
        return f"{_subject(found[0])}: {found[0].reason.sentence} ({code})"
    most_named = max(MOST_NAMED, most_rows - MOST_NAMED)
    names = list(dict.fromkeys(_subject(rejection) for rejection in found))
    others = f" and {len(names) - most_named} more" if len(names) > most_named else ""
    return f"{code}: {', '.join(names[:most_named])}{others}; such as: {found[0].reason.sentence}"


def _subject(rejection: Rejection) -> str:
    return f"{rejection.accelerator} {rejection.number_format}".strip()
