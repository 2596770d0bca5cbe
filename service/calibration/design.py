"""Measurements as columns: the work that each one did, whatever the calibration."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import TypeVar, cast

import numpy as np

from domain.catalog.release import Catalog
from domain.engine.estimating import ENDLESS_QUEUE
from domain.engine.layout_table import layout_table
from domain.engine.memory import Division, Keeping
from domain.engine.parallelism import Degrees, default_stages
from domain.engine.rates import Peaks, RateKey, peaks_of
from domain.engine.serving import ServingCase, SteadyBatch, steady_batch
from domain.engine.setting import ModelStudy, card_limits
from domain.engine.speed import MEAN_OUTPUT_SHARE
from domain.engine.ways import PrecisionResolver
from domain.engine.work import StepBatch, StepWork, step_work
from domain.quantity import Column
from service.calibration.measurements import Measurement

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Everything about the rows that no parameter changes."""

    rows: tuple[Measurement, ...]
    keys: tuple[RateKey, ...]
    peaks: Peaks[Column]
    case: ServingCase[Column]
    batch: SteadyBatch[Column]
    decode_work: StepWork[Column]
    mixed_work: StepWork[Column]


def design(rows: Iterable[Measurement], catalog: Catalog) -> Design:
    """Set every row beside its work; rows of one shape are worked out together."""
    groups: dict[tuple[object, ...], list[Measurement]] = {}
    for row in rows:
        key = (*row.configuration[2:10], row.engine, row.cache_element_bytes)
        groups.setdefault(key, []).append(row)
    studies: dict[str, ModelStudy] = {}
    parts = [part for group in groups.values() if (part := _group(group, catalog, studies)) is not None]
    return Design(
        rows=tuple(row for part in parts for row in part.rows),
        keys=tuple(key for part in parts for key in part.keys),
        peaks=stacked([part.peaks for part in parts]),
        case=stacked([part.case for part in parts]),
        batch=stacked([part.batch for part in parts]),
        decode_work=stacked([part.decode_work for part in parts]),
        mixed_work=stacked([part.mixed_work for part in parts]),
    )


def stacked(records: Sequence[Record]) -> Record:
    """Put the columns of several records of one kind one below the other."""
    first = records[0]
    if not is_dataclass(first):
        return cast("Record", np.concatenate([np.atleast_1d(cast("Column", record)) for record in records]))
    parts = {field.name: stacked([getattr(record, field.name) for record in records]) for field in fields(first)}
    return cast("Callable[..., Record]", type(first))(**parts)


def _group(rows: list[Measurement], catalog: Catalog, studies: dict[str, ModelStudy]) -> Design | None:
    """Work of rows that differ only in their load; None where the catalog has a blank."""
    row = rows[0]
    study = studies.setdefault(row.model.id, ModelStudy(catalog, row.model))
    peaks, compute_type = _peaks(study.resolver, row)
    if peaks is None:
        return None
    engine = catalog.serving_engines[row.engine]
    made = study.footprint(row.weight_format, with_mtp=False)
    keeping = Keeping(
        engine=engine,
        limits=card_limits(engine, row.accelerator),
        cache_element_bytes=row.cache_element_bytes,
        state_padding=tuple(1.0 for _ in made.layers),
    )
    stages = min(row.pipeline_parallel, row.model.layer_count)
    degrees = Degrees(
        row.tensor_parallel,
        stages,
        row.attention_data_parallel,
        row.expert_parallel,
        1,
        default_stages(row.model.layer_count, stages, engine),
    )
    case = _case(rows, _cache_sequences(study, rows, degrees, keeping), keeping, degrees)
    batch = steady_batch(case)
    division = Division(
        tensor_parallel=np.full(len(rows), float(degrees.tensor)),
        attention_data_parallel=np.full(len(rows), float(degrees.attention_data)),
        expert_parallel=np.full(len(rows), float(degrees.expert)),
        decode_context_parallel=np.ones(len(rows)),
    )

    def work(prefill_tokens: Column) -> StepWork[Column]:
        step = StepBatch(
            decode_sequences=batch.decode_sequences,
            prefill_tokens=prefill_tokens,
            context_tokens=case.input_tokens + MEAN_OUTPUT_SHARE * case.output_tokens,
            prefill_context_tokens=np.maximum(case.input_tokens, 1.0) / 2.0,
        )
        return step_work(made, division, case.stages, step, keeping)

    return Design(
        rows=tuple(rows),
        keys=tuple(_key(one, compute_type) for one in rows),
        peaks=cast("Peaks[Column]", stacked([peaks] * len(rows))),
        case=case,
        batch=batch,
        decode_work=work(batch.decode_sequences * 0.0),
        mixed_work=work(batch.chunk_tokens),
    )


def _peaks(resolver: PrecisionResolver, row: Measurement) -> tuple[Peaks[float] | None, str]:
    ways = resolver.resolve(row.accelerator, "allow_4bit", row.weight_format).ways
    way = next((one for one in ways if one.number_format == row.weight_format), None)
    return (None, "") if way is None else (peaks_of(row.accelerator, way), way.compute_type)


def _key(row: Measurement, compute_type: str) -> RateKey:
    return RateKey(
        engine=row.engine_kind,
        engine_version=row.engine_version,
        generation=row.accelerator.generation,
        accelerator=row.accelerator.id,
        model=row.model.id,
        compute_type=compute_type,
    )


def _cache_sequences(study: ModelStudy, rows: list[Measurement], degrees: Degrees, keeping: Keeping) -> Column:
    """Sequences at full length whose cache fits in one attention group."""
    row, engine = rows[0], keeping.engine
    made = study.footprint(row.weight_format, with_mtp=False)
    device_bytes = (
        row.accelerator.usable_memory_bytes or row.accelerator.memory_bytes
    ) / row.accelerator.devices_per_card
    held = []
    for one in rows:
        table = layout_table(made, keeping, [degrees], max(one.input_tokens + one.output_tokens, 1.0))
        room = table.room_bytes(device_bytes, engine.memory_fraction, engine)
        held.append(float(np.min(room / table.sequence_bytes)))
    return np.maximum(np.floor(np.array(held, dtype=np.float64)), np.ones(len(held)))


def _case(rows: list[Measurement], cache_sequences: Column, keeping: Keeping, degrees: Degrees) -> ServingCase[Column]:
    copies = np.array([row.replicas * degrees.attention_data for row in rows], dtype=np.float64)
    return ServingCase(
        concurrency=np.array([_requests(row) for row in rows]) / copies,
        input_tokens=np.array([row.input_tokens for row in rows]),
        output_tokens=np.maximum(np.array([row.output_tokens for row in rows]), 1.0),
        sequence_limit=np.full(len(rows), float(keeping.limits.sequence_count)),
        token_limit=np.full(len(rows), float(keeping.limits.batched_tokens)),
        cache_sequences=cache_sequences,
        stages=np.full(len(rows), float(degrees.pipeline)),
        groups=copies,
        tokens_per_step=np.ones(len(rows)),
    )


def _requests(row: Measurement) -> float:
    match row.load:
        case "closed-loop":
            return row.concurrency
        case "burst":
            return row.request_count
        case _:
            return ENDLESS_QUEUE
