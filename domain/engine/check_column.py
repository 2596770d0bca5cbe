"""Many checks at once: requests that differ only in their load are one column through the same formulas."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from domain.catalog.release import Catalog
from domain.engine.checking import Options, choice_at, options_of
from domain.engine.deployment import CheckRequest, Verdict
from domain.engine.judging import MARGINAL_ROOM_FRACTION
from domain.engine.memory import sequence_capacity
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
        options = _options(catalog, _busiest(requests, rows, loads), studies)
        if options is not None:
            _fill(result, options, np.array(rows), loads[rows])
    return result


def _rows_by_shape(requests: Sequence[CheckRequest]) -> list[list[int]]:
    groups: dict[tuple[object, ...], list[int]] = {}
    for row, request in enumerate(requests):
        groups.setdefault(_shape_of_request(request), []).append(row)
    return list(groups.values())


def _busiest(requests: Sequence[CheckRequest], rows: list[int], loads: Column) -> CheckRequest:
    """The request with most sequences: attention data parallelism is tried up to its concurrency."""
    return requests[rows[int(np.argmax(loads[rows, 2]))]]


def _options(
    catalog: Catalog, request: CheckRequest, studies: dict[tuple[str, str | None], ModelStudy]
) -> Options | None:
    key = (request.model, request.config_json)
    if key not in studies:
        studies[key] = ModelStudy(catalog, known_model(catalog, *key))
    accelerator = known_accelerator(catalog, request.accelerator)
    precision = studies[key].resolver.resolve(accelerator, request.policy, request.weight_format)
    options = options_of(studies[key], accelerator, request, precision)
    return options if isinstance(options, Options) else None


def _fill(result: CheckColumn, options: Options, rows: npt.NDArray[np.int64], loads: Column) -> None:
    tokens = loads[:, 0] + loads[:, 1]
    choice = choice_at(options, tokens, loads[:, 2])
    table, room, every = choice.table, choice.room_bytes, np.arange(len(rows))
    budget = room + table.weights_bytes + table.activations_bytes + table.reserve_bytes
    marginal = table.least_by_layout(room / budget) < MARGINAL_ROOM_FRACTION
    held = np.minimum.reduceat(room[:, None] / choice.needs_bytes, table.starts, axis=0)[choice.rows, every]
    whole = np.minimum.reduceat(_whole(room, choice.needs_bytes), table.starts, axis=0)[choice.rows, every]
    headroom = choice.headroom_bytes[choice.rows, every]
    copies = choice.copies[choice.rows]
    result.headroom_bytes[rows] = headroom
    result.sequence_capacity[rows] = whole * copies
    result.kv_capacity_tokens[rows] = np.maximum(held, 0.0) * tokens * copies
    fits = np.where(marginal[choice.rows], VERDICTS.index("marginal"), VERDICTS.index("fits"))
    result.verdict_indexes[rows] = np.where(headroom < 0.0, VERDICTS.index("does_not_fit"), fits)


def _whole(room_bytes: Column, needs_bytes: Column) -> Column:
    return sequence_capacity(np.broadcast_to(room_bytes[:, None], needs_bytes.shape), needs_bytes)
