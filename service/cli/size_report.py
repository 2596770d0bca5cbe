"""How the answer to `size` looks."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from domain.engine.answer import Candidate, Deployment, Rejection, SizeAnswer
from service.cli.check_report import show_published, show_statements
from service.cli.fitted_table import Column, show_fitted
from service.cli.screen import (
    gb,
    kw,
    layout,
    nodes,
    screen,
    show_headline,
    show_lines,
    show_rest,
    show_section,
    usd,
    weights,
)

MOST_NAMED = 6

SMALLEST = "smallest"
COLUMNS = (
    Column("accelerator"),
    Column("weights", wraps=True),
    Column("count", is_figure=True),
    Column("nodes", is_figure=True, leaves=4),
    Column("layout", wraps=True, leaves=5),
    Column("USD/h", is_figure=True),
    Column("kW", is_figure=True, leaves=3),
    Column("headroom GB", is_figure=True, leaves=2),
    Column(SMALLEST, is_figure=True, leaves=1),
)

COUNT_LEGEND = (
    "count: recommended, with room to spare, as it is bought: boards whole, cards in slots singly up to one server, "
    "beyond it whole servers; with ! there is none, and the smallest is shown."
)
SMALLEST_LEGEND = "smallest: any layout / as it is bought."


def show_size(answer: SizeAnswer, *, most_rows: int) -> None:
    """Print the sentence, the candidates with a price and those without, and what was ruled out."""
    show_headline(answer.sentence)
    hidden = (
        *_show_candidates("Recommended on each, by rent", answer.candidates, most_rows),
        *_show_candidates("Recommended on each, no price known, by count", answer.unpriced, most_rows),
    )
    if not (answer.candidates or answer.unpriced):
        screen().print("Nothing holds it.", style="bold red")
    screen().print(COUNT_LEGEND if SMALLEST in hidden else f"{COUNT_LEGEND} {SMALLEST_LEGEND}", style="dim")
    _show_rejections(answer.rejections, most_rows)
    show_published(answer.published, most_rows)
    show_statements(answer.statements)


def _show_candidates(title: str, candidates: Sequence[Candidate], most_rows: int) -> tuple[str, ...]:
    if not candidates:
        return ()
    show_section(title)
    hidden = show_fitted(COLUMNS, [tuple(_row(candidate)) for candidate in candidates[:most_rows]])
    show_rest(candidates, most_rows)
    show_lines(_remarks(candidates[:most_rows]), style="dim")
    return hidden


def _row(candidate: Candidate) -> Iterable[str]:
    shown = candidate.recommended or candidate.smallest_deployable or candidate.smallest_by_memory
    yield shown.accelerator
    yield weights(shown)
    yield f"{shown.accelerator_count}{'' if candidate.recommended else ' !'}"
    yield nodes(shown.node_count)
    yield layout(shown.layout)
    yield usd(shown.cost_usd_per_hour)
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
