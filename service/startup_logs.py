"""Start-up logs of serving engines, read from a file of one printed number per row."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.catalog.refusal import NotInCatalog
from domain.catalog.release import Catalog
from domain.engine.memory_accuracy import StartupLog

GIB = float(1 << 30)
VISIBLE = re.compile(r"\(([\d.]+) GiB visible\)")
FORMATS = {"bf16": "bf16", "fp16": "fp16", "fp8": "fp8"}
CACHE_BYTES = {"auto=bf16": 2.0, "auto=fp16": 2.0, "auto": 2.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0}
NEEDED = ("weights_gib_per_gpu", "activation_peak_gib_per_gpu", "non_torch_gib_per_gpu", "kv_cache_tokens")
GENERATION = "hopper"
"""The only generation whose logs state the visible memory and all four figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedLog:
    """A log that cannot be scored, and why."""

    model: str
    reason: str


def read_startup_logs(path: Path, catalog: Catalog, engine: str) -> Iterator[StartupLog | SkippedLog]:
    """Yield every complete log of ``engine`` at a 16-bit or FP8 format on an H100, and why others are left out."""
    with path.open(newline="", encoding="utf-8") as rows:
        for printed in _grouped(csv.DictReader(rows), engine):
            yield _log(printed, catalog)


def _grouped(rows: Iterable[dict[str, str]], engine: str) -> list[dict[str, str]]:
    """Bring the rows of one log together: every column but the metric, and the metrics by name."""
    logs: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        if row["engine"] == engine and row["weight_precision"] in FORMATS and "H100" in row["hardware"]:
            key = tuple(value for name, value in row.items() if name not in {"id", "metric", "value"})
            logs.setdefault(key, dict(row))[row["metric"]] = row["value"]
    return list(logs.values())


def _log(printed: Mapping[str, str], catalog: Catalog) -> StartupLog | SkippedLog:
    missing = [name for name in NEEDED if name not in printed]
    visible = VISIBLE.search(printed["hardware"])
    if missing or visible is None:
        return SkippedLog(model=printed["model"], reason=f"does not print {', '.join(missing) or 'visible memory'}")
    try:
        model = catalog.model(printed["model"])
    except NotInCatalog:
        return SkippedLog(model=printed["model"], reason="no configuration at hand")
    weights, activations, outside = (float(printed[name]) * GIB for name in NEEDED[:3])
    return StartupLog(
        model=model,
        number_format=catalog.number_formats[FORMATS[printed["weight_precision"]]],
        cache_element_bytes=CACHE_BYTES[printed["kv_precision"]],
        tensor_parallel=int(printed["tp"]),
        pipeline_parallel=int(printed["pp"]),
        device_bytes=float(visible.group(1)) * GIB,
        generation=GENERATION,
        memory_fraction=float(printed["gpu_memory_utilization"]),
        max_model_tokens=int(printed["max_model_len"]),
        weights_bytes=weights,
        activations_bytes=activations,
        outside_bytes=outside,
        cache_tokens=float(printed["kv_cache_tokens"]),
    )
