"""Many checks at once: requests that differ only in their load are one column through the same formulas."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from domain.catalog.release import Catalog
from domain.engine.checking import Shape, shape_of
from domain.engine.deployment import CheckRequest, Verdict
from domain.engine.judging import MARGINAL_ROOM_FRACTION
from domain.engine.layout_table import SMALLEST_SEQUENCE_BYTES, layout_table
from domain.engine.memory import Division, StageContent, cache_bytes_per_sequence, sequence_capacity
from domain.engine.parallelism import distinct_stages
from domain.engine.question import known_accelerator, known_model, require_sound_check, sound_loads
from domain.engine.setting import ModelStudy
from domain.quantity import Column

SHAPE_FIELDS = (
    "model",
    "config_json",
    "accelerator",
    "accelerator_count",
    "tensor_parallel",
    "pipeline_parallel",
    "expert_parallel",
    "attention_data_parallel",
    "decode_context_parallel",
    "replicas",
    "weight_format",
    "kv_cache_format",
    "engine",
    "engine_version",
    "policy",
    "memory_fraction",
    "speculative_draft_tokens",
)
VERDICTS: tuple[Verdict, ...] = ("fits", "marginal", "does_not_fit", "impossible")
_shape_of_request = attrgetter(*SHAPE_FIELDS)
_load_of_request = attrgetter("load.input_tokens", "load.output_tokens", "load.concurrency")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckColumn:
    """Verdicts and figures of many checks, in the order of the requests; NaN where nothing can be computed."""

    verdict_indexes: npt.NDArray[np.int8]
    """Index into ``VERDICTS``."""
    headroom_bytes: Column
    """On the fullest device; negative is the shortfall."""
    kv_capacity_tokens: Column
    sequence_capacity: Column

    def verdicts(self) -> list[Verdict]:
        """Return the verdicts in words."""
        return [VERDICTS[index] for index in self.verdict_indexes]


def check_column(catalog: Catalog, requests: Sequence[CheckRequest]) -> CheckColumn:
    """Check every request; what each answers equals what a single check answers.

    Raises `QuestionRefused` for the first request that a single check would refuse.
    """
    loads = np.array([_load_of_request(request) for request in requests], dtype=np.float64).reshape(-1, 3)
    unsound = np.flatnonzero(~sound_loads(loads[:, 0], loads[:, 1], loads[:, 2]))
    if len(unsound):
        require_sound_check(catalog, requests[int(unsound[0])])
    result = CheckColumn(
        verdict_indexes=np.full(len(requests), VERDICTS.index("impossible"), dtype=np.int8),
        headroom_bytes=np.full(len(requests), np.nan),
        kv_capacity_tokens=np.full(len(requests), np.nan),
        sequence_capacity=np.full(len(requests), np.nan),
    )
    studies: dict[tuple[str, str | None], ModelStudy] = {}
    for rows in _rows_by_shape(requests):
        require_sound_check(catalog, requests[rows[0]])
        shape = _shape(catalog, requests[rows[0]], studies)
        if shape is not None:
            _fill(result, shape, np.array(rows), loads[rows])
    return result


def _rows_by_shape(requests: Sequence[CheckRequest]) -> list[list[int]]:
    groups: dict[tuple[object, ...], list[int]] = {}
    for row, request in enumerate(requests):
        groups.setdefault(_shape_of_request(request), []).append(row)
    return list(groups.values())


def _shape(catalog: Catalog, request: CheckRequest, studies: dict[tuple[str, str | None], ModelStudy]) -> Shape | None:
    key = (request.model, request.config_json)
    if key not in studies:
        studies[key] = ModelStudy(catalog, known_model(catalog, *key))
    accelerator = known_accelerator(catalog, request.accelerator)
    precision = studies[key].resolver.resolve(accelerator, request.policy, request.weight_format)
    shape = shape_of(studies[key], accelerator, request, precision)
    return shape if isinstance(shape, Shape) else None


def _fill(result: CheckColumn, shape: Shape, rows: npt.NDArray[np.int64], loads: Column) -> None:
    tokens, concurrency = loads[:, 0] + loads[:, 1], loads[:, 2]
    setting = shape.setting
    table = layout_table(setting.footprint, setting.keeping, [shape.degrees], 1.0)
    room = table.room_bytes(setting.device_usable_bytes, setting.memory_fraction, setting.engine)
    budget = room + table.weights_bytes + table.activations_bytes + table.reserve_bytes
    copies = shape.degrees.attention_data * shape.replicas
    sequences = np.ceil(concurrency / copies)
    needs = _sequence_bytes(shape, tokens)
    headroom = np.min(room[:, None] - sequences * needs, axis=0)
    capacity = np.min(sequence_capacity(np.broadcast_to(room[:, None], needs.shape), needs), axis=0)
    is_marginal = float(np.min(room / budget)) < MARGINAL_ROOM_FRACTION
    result.headroom_bytes[rows] = headroom
    result.sequence_capacity[rows] = capacity * copies
    result.kv_capacity_tokens[rows] = np.maximum(np.min(room[:, None] / needs, axis=0), 0.0) * tokens * copies
    result.verdict_indexes[rows] = np.where(headroom < 0.0, VERDICTS.index("does_not_fit"), int(is_marginal))


def _sequence_bytes(shape: Shape, tokens: Column) -> Column:
    """Bytes of one sequence on each stage (rows) for each load (columns)."""
    degrees, setting = shape.degrees, shape.setting
    division = Division(
        tensor_parallel=np.full(1, float(degrees.tensor)),
        attention_data_parallel=np.full(1, float(degrees.attention_data)),
        expert_parallel=np.full(1, float(degrees.expert)),
        decode_context_parallel=np.full(1, float(degrees.decode_context)),
    )
    stages = distinct_stages(setting.footprint.model, degrees.stage_layer_counts)
    needs: Column = np.stack(
        [
            cache_bytes_per_sequence(
                setting.footprint,
                division,
                StageContent(
                    layer_counts=tuple(np.full(1, float(count)) for count in stage.layer_counts),
                    is_first=np.full(1, float(stage.is_first)),
                    is_last=np.full(1, float(stage.is_last)),
                ),
                setting.keeping,
                tokens,
            )
            for stage in stages
        ]
    )
    return np.maximum(needs, np.full_like(needs, SMALLEST_SEQUENCE_BYTES))
