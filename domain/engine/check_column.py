"""Many checks at once: requests that differ only in their load are one column through the same formulas."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from domain.catalog.release import Catalog
from domain.engine.checking import Choice, Options, choice_at, options_of, widened
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
            _fill(result, options, np.array(rows), loads)
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
    choice = choice_at(options, loads[rows, 0] + loads[rows, 1], loads[rows, 2])
    _write(result, choice, rows, loads[rows])
    rest = rows[~choice.holds]
    if rest.size:
        _write(result, choice_at(widened(options), loads[rest, 0] + loads[rest, 1], loads[rest, 2]), rest, loads[rest])


def _write(result: CheckColumn, choice: Choice, rows: npt.NDArray[np.int64], loads: Column) -> None:
    """Write what each load has in its layout; loads of one layout are written together."""
    table, room = choice.table, choice.room_bytes
    budget = room + table.weights_bytes + table.activations_bytes + table.reserve_bytes
    ends = np.append(table.starts, len(room))
    for layout in np.unique(choice.rows):
        taken, stages = choice.rows == layout, slice(ends[layout], ends[layout + 1])
        needs, copies = choice.needs_bytes[stages][:, taken], choice.copies[layout]
        offered = np.broadcast_to(room[stages][:, None], needs.shape)
        headroom = choice.headroom_bytes[layout, taken]
        is_marginal = float(np.min(room[stages] / budget[stages])) < MARGINAL_ROOM_FRACTION
        places, tokens = rows[taken], loads[taken, 0] + loads[taken, 1]
        result.headroom_bytes[places] = headroom
        result.sequence_capacity[places] = np.min(sequence_capacity(offered, needs), axis=0) * copies
        result.kv_capacity_tokens[places] = np.maximum(np.min(offered / needs, axis=0), 0.0) * tokens * copies
        result.verdict_indexes[places] = np.where(headroom < 0.0, VERDICTS.index("does_not_fit"), int(is_marginal))
