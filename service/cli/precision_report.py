"""How the answer to `precision` looks."""

from rich.padding import Padding

from domain.engine.answer import EngineSupport, PrecisionAnswer, Way
from service.cli.screen import gb, screen, show_headline, show_lines, show_section, table, tflops

MARKS = {"yes": "", "no": " (no)", "not_known": " (not known)"}


def show_precision(answer: PrecisionAnswer) -> None:
    """Print every way, best first, and every refused format with its reason."""
    best = answer.ways[0] if answer.ways else None
    headline = f"{answer.model} on {answer.accelerator}: "
    show_headline(headline + (best.number_format if best else "no way to run it"))
    if best is not None:
        screen().print(best.sentence)
        _show_ways(answer.ways)
    if answer.refused:
        show_section(f"Refused under {answer.policy.replace('_', ' ')}")
        show_lines(f"{refused.number_format}: {refused.sentence} ({refused.code})" for refused in answer.refused)


def _show_ways(ways: tuple[Way, ...]) -> None:
    show_section("Ways, best first")
    figures = ("weights GB", "TFLOPS")
    rows = table("format", "path", "quality", "multiplies in", *figures, "engines", right=figures, wrap=("engines",))
    for way in ways:
        rows.add_row(
            way.number_format,
            way.path.replace("_", " "),
            way.quality.replace("_", " "),
            way.compute_type,
            gb(way.weights_bytes),
            tflops(way.peak_flops_per_s),
            ", ".join(map(_engine, way.engines)) or "-",
        )
    screen().print(Padding(rows, (0, 0, 0, 2)))
    if needs := [f"{way.number_format}: {way.requires}" for way in ways if way.requires]:
        show_section("Needs")
        show_lines(needs)


def _engine(support: EngineSupport) -> str:
    version = f" {support.engine_version}" if support.engine_version else ""
    return f"{support.engine}{version}{MARKS[support.answer]}"
