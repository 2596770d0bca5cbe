"""The accuracy report: what engines printed at start against what the engine says, as tables."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from domain.catalog.release import Catalog
from domain.engine.memory_accuracy import LogEngine, Prediction, StartupLog, left_out_predictions, votes
from domain.engine.score import Score, score
from service.startup_logs import SkippedLog, read_startup_logs

ENGINE = "vllm"
"""The engine whose logs state every part of the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryReport:
    """Predictions of start-up logs, one vote each, and the logs that could not be scored."""

    votes: tuple[Prediction, ...]
    log_count: int
    skipped: tuple[SkippedLog, ...]


def memory_report(catalog: Catalog, paths: Iterable[Path]) -> MemoryReport:
    """Predict every log of the files with its model family left out of the fit.

    Raises ValueError when the files hold no log that can be scored.
    """
    outcomes = [outcome for path in paths for outcome in read_startup_logs(path, catalog, ENGINE)]
    logs = [outcome for outcome in outcomes if isinstance(outcome, StartupLog)]
    if not logs:
        message = f"no complete start-up log of {ENGINE} in these files"
        raise ValueError(message)
    engine = LogEngine(catalog.serving_engines[ENGINE], dict(catalog.number_formats))
    return MemoryReport(
        votes=tuple(votes(left_out_predictions(engine, logs))),
        log_count=len(logs),
        skipped=tuple(outcome for outcome in outcomes if isinstance(outcome, SkippedLog)),
    )


def print_report(report: MemoryReport, console: Console) -> None:
    """Print the scores, then every vote, then what was left out and why."""
    heading = (
        f"{len(report.votes)} votes from {report.log_count} start-up logs of {ENGINE}; each family left out in turn"
    )
    console.print(heading)
    console.print(_scores(report.votes))
    console.print(_votes(report.votes))
    for (model, reason), count in sorted(Counter((one.model, one.reason) for one in report.skipped).items()):
        console.print(f"not scored: {model} ({reason}; {count} logs)", style="dim")


def _scores(predictions: Sequence[Prediction]) -> Table:
    table = Table("metric", "group", *_right("votes", "median", "P90", "bias", "within 10 %", "within 25 %"))
    groups: dict[str, list[Prediction]] = {"all": list(predictions)}
    for prediction in predictions:
        groups.setdefault(prediction.log.lineage, []).append(prediction)
    for name, group in groups.items():
        table.add_row("KV tokens", name, *_figures(score([one.cache_error_fraction for one in group])))
        table.add_row("weights", name, *_figures(score([one.weights_error_fraction for one in group])))
    return table


def _figures(figures: Score) -> tuple[str, ...]:
    fractions = (
        figures.median_fraction,
        figures.p90_fraction,
        figures.bias_fraction,
        figures.within_10_percent_fraction,
        figures.within_25_percent_fraction,
    )
    return str(figures.count), *(f"{100 * fraction:.2f} %" for fraction in fractions)


def _votes(predictions: Sequence[Prediction]) -> Table:
    table = Table("model", "format", *_right("TP", "PP", "KV tokens measured", "predicted", "error", "weights error"))
    for one in sorted(predictions, key=lambda prediction: -abs(prediction.cache_error_fraction)):
        table.add_row(
            one.log.model.id,
            one.log.number_format.id,
            str(one.log.tensor_parallel),
            str(one.log.pipeline_parallel),
            f"{one.log.cache_tokens:,.0f}".replace(",", " "),
            f"{one.cache_tokens:,.0f}".replace(",", " "),
            f"{100 * one.cache_error_fraction:+.2f} %",
            f"{100 * one.weights_error_fraction:+.2f} %",
        )
    return table


def _right(*names: str) -> Iterable[Column]:
    return (Column(name, justify="right") for name in names)
