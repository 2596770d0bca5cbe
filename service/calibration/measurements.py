"""Published serving measurements, one number a row, read into what the engine can be asked."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.catalog.accelerator import Accelerator
from domain.catalog.model import Model
from domain.catalog.refusal import NotInCatalog
from domain.catalog.release import Catalog

ENGINES = {
    "trtllm": "tensorrt_llm",
    "vllm": "vllm",
    "sglang": "sglang",
    "llamacpp": "llama_cpp",
    "vllm-ascend": "vllm_ascend",
    "mindie": "mindie",
    "ktransformers": "ktransformers",
}
FORMATS = {"int4-awq": "int4_awq"}
EIGHT_BIT_CACHE = ("fp8", "nvfp4")
"""Weight formats beside which TensorRT-LLM's tables keep the cache in FP8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One published number with everything that it was measured under."""

    id: str
    engine: str
    """Id of the engine in the catalog."""
    engine_version: str
    model: Model
    accelerator: Accelerator
    tensor_parallel: int
    attention_data_parallel: int
    pipeline_parallel: int
    expert_parallel: int
    replicas: int
    weight_format: str
    cache_element_bytes: float
    speculative: str
    """``y``, ``n`` or ``unknown``."""
    load: str
    """``closed-loop``, ``burst``, ``all-queued`` or ``open-loop``."""
    concurrency: float
    request_count: float
    request_rate_per_s: float
    input_tokens: float
    output_tokens: float
    metric: str
    statistic: str
    value: float
    """In base units: seconds, or tokens per second over the whole system."""

    @property
    def configuration(self) -> tuple[object, ...]:
        """What all loads of one configuration share: they are left out together."""
        return (
            self.engine,
            self.engine_version,
            self.model.id,
            self.accelerator.id,
            self.tensor_parallel,
            self.attention_data_parallel,
            self.pipeline_parallel,
            self.expert_parallel,
            self.replicas,
            self.weight_format,
            self.speculative,
        )

    @property
    def engine_kind(self) -> str:
        """The engine as it behaves: TensorRT-LLM's own benchmark is faster than its server."""
        is_bench = self.engine == "tensorrt_llm" and self.load == "all-queued"
        return "tensorrt_llm_bench" if is_bench else self.engine


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedRow:
    """A row that cannot be asked, and why."""

    id: str
    reason: str


def read_measurements(paths: Iterable[Path], catalog: Catalog) -> Iterator[Measurement | SkippedRow]:
    """Yield every row of the files, or why it is left out."""
    for path in paths:
        with path.open(newline="", encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                yield _measurement(row, catalog)


def _measurement(row: Mapping[str, str], catalog: Catalog) -> Measurement | SkippedRow:
    try:
        model, accelerator = catalog.model(row["model"]), catalog.accelerator(row["device"])
    except NotInCatalog as unknown:
        return SkippedRow(id=row["id"], reason=str(unknown))
    engine = ENGINES.get(row["engine"], row["engine"])
    weight_format = FORMATS.get(row["weight_format"], row["weight_format"])
    if engine not in catalog.serving_engines or weight_format not in catalog.number_formats:
        return SkippedRow(id=row["id"], reason=f"{engine} at {weight_format} is not in the catalog")
    scale = 1e-3 if "_ms" in row["metric"] else 1.0
    return Measurement(
        id=row["id"],
        engine=engine,
        engine_version=row["engine_version"].removeprefix("v"),
        model=model,
        accelerator=accelerator,
        weight_format=weight_format,
        cache_element_bytes=_cache_bytes(row, engine, weight_format),
        speculative=row["speculative"],
        load=row["load"],
        concurrency=_number(row["concurrency"]),
        request_count=_number(row["requests"]),
        request_rate_per_s=_number(row["request_rate"]),
        input_tokens=_number(row["input_tokens"]),
        output_tokens=_number(row["output_tokens"]),
        metric=row["metric"],
        statistic=row["statistic"] or "mean",
        value=float(row["measured"]) * scale,
        **_degrees(row, engine),
    )


def _degrees(row: Mapping[str, str], engine: str) -> dict[str, int]:
    """Degrees of the layout; a blank tensor degree is what the other degrees leave of the devices."""
    data, stages, replicas, expert = (
        int(_number(row[name]) or 1)
        for name in ("attention_data_parallel", "pipeline_parallel", "replicas", "expert_parallel")
    )
    devices, tensor = int(_number(row["device_count"]) or 1), int(_number(row["tensor_parallel"]))
    if not tensor and engine == "llama_cpp":
        tensor, stages = 1, devices
    return {
        "tensor_parallel": tensor or max(devices // (data * stages * replicas), 1),
        "attention_data_parallel": data,
        "pipeline_parallel": stages,
        "expert_parallel": expert,
        "replicas": replicas,
    }


def _cache_bytes(row: Mapping[str, str], engine: str, weight_format: str) -> float:
    stated = row["kv_format"]
    by_default = engine == "tensorrt_llm" and not stated and weight_format in EIGHT_BIT_CACHE
    return 1.0 if "fp8" in stated or by_default else 2.0


def _number(text: str) -> float:
    return float(text) if text else 0.0
