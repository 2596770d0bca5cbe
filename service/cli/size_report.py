"""How the answer to `size` looks."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from rich.padding import Padding

from domain.engine.answer import Candidate, Deployment, Rejection, SizeAnswer
from service.cli.check_report import show_published, show_statements
from service.cli.screen import gb, kw, layout, screen, show_headline, show_lines, show_section, table, usd

MOST_NAMED = 6


def show_size(answer: SizeAnswer, *, most_rows: int) -> None:
    """Print the sentence, the candidates with a price and those without, and what was ruled out."""
    show_headline(answer.model)
    screen().print(answer.sentence)
    _show_candidates("Candidates, by rent", answer.candidates, most_rows)
    _show_candidates("Candidates without a known price, by count", answer.unpriced, most_rows)
    _show_rejections(answer.rejections, most_rows)
    show_published(answer.published)
    show_statements(answer.statements)


def _show_candidates(title: str, candidates: Sequence[Candidate], most_rows: int) -> None:
    if not candidates:
        return
    show_section(title)
    figures = ("by memory", "deployable", "recommended", "nodes", "headroom GB", "USD/h", "kW")
    rows = table("accelerator", "weights", *figures[:4], "layout", *figures[4:], right=figures, wrap=("layout",))
    for candidate in candidates[:most_rows]:
        rows.add_row(*_row(candidate))
    screen().print(Padding(rows, (0, 0, 0, 2)))
    if len(candidates) > most_rows:
        screen().print(f"  and {len(candidates) - most_rows} more (--rows {len(candidates)})", style="dim")


def _row(candidate: Candidate) -> Iterable[str]:
    shown = candidate.recommended or candidate.smallest_deployable or candidate.smallest_by_memory
    yield shown.accelerator
    yield f"{shown.way.number_format} {_path(shown)}".strip()
    yield str(candidate.smallest_by_memory.accelerator_count)
    yield _count(candidate.smallest_deployable)
    yield _count(candidate.recommended)
    yield "-" if shown.node_count is None else f"{shown.node_count:g}"
    yield layout(shown.layout)
    yield gb(shown.memory.headroom_bytes)
    yield usd(shown.cost_usd_per_hour)
    yield kw(shown.power_w)


def _path(deployment: Deployment) -> str:
    return "" if deployment.way.path == "native" else f"({deployment.way.path.replace('_', ' ')})"


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
