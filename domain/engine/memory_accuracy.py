"""How well memory is predicted: start-up logs of serving engines against the engine, each family left out in turn.

The constants that no architecture explains (bytes per logit while sampling, workspace, memory outside the
allocator) are fitted on the logs of the other families, so that a score never rests on the family it scores.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from domain.catalog.model import Model
from domain.catalog.number_format import NumberFormat
from domain.catalog.serving_engine import ServingEngine
from domain.engine.footprint import Footprint, footprint
from domain.engine.layout_table import LayoutTable, layout_table
from domain.engine.memory import Keeping, cache_paddings
from domain.engine.parallelism import Degrees, default_stages
from domain.engine.setting import card_limits_for

LOGITS_BYTES_GRID = np.arange(2.0, 64.0, 0.05)
"""Bytes per (sequence x vocabulary entry) that the fit may choose: from one 16-bit copy to sixteen 32-bit ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupLog:
    """What one engine printed when it loaded one model; memory per device in bytes, None where not printed."""

    model: Model
    number_format: NumberFormat
    cache_element_bytes: float
    tensor_parallel: int
    pipeline_parallel: int
    device_bytes: float
    generation: str
    memory_fraction: float
    max_model_tokens: int
    weights_bytes: float
    activations_bytes: float
    outside_bytes: float
    cache_tokens: float

    @property
    def lineage(self) -> str:
        """Family without its generation: Llama 3.1 and Llama 3.3 are one lineage and are left out together."""
        letters = re.match(r"[A-Za-z]+", self.model.family)
        return letters.group() if letters else self.model.family

    @property
    def vote(self) -> tuple[str, int, int, str]:
        """Logs of one vote differ in nothing that the prediction is judged on."""
        return self.model.id, self.tensor_parallel, self.pipeline_parallel, self.number_format.id


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConstants:
    """Engine facts that are fitted on logs."""

    logits_bytes_per_entry: float
    workspace_bytes: float
    context_bytes: float
    parallel_context_bytes: float

    def applied(self, engine: ServingEngine) -> ServingEngine:
        """Return ``engine`` with these constants."""
        return replace(
            engine,
            logits_bytes_per_entry=self.logits_bytes_per_entry,
            workspace_bytes=self.workspace_bytes,
            context_bytes=self.context_bytes,
            parallel_context_bytes=self.parallel_context_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One log with what was predicted for it while its family was left out."""

    log: StartupLog
    weights_bytes: float
    cache_tokens: float

    @property
    def weights_error_fraction(self) -> float:
        """Signed error of the weights of the fullest stage."""
        return self.weights_bytes / self.log.weights_bytes - 1.0

    @property
    def cache_error_fraction(self) -> float:
        """Signed error of the tokens that the cache holds."""
        return self.cache_tokens / self.log.cache_tokens - 1.0


class LogEngine:
    """One engine release with the formats it needs, asked about logs."""

    def __init__(self, engine: ServingEngine, formats: dict[str, NumberFormat]) -> None:
        """Keep what every prediction needs."""
        self._engine = engine
        self._formats = formats

    def predicted(self, log: StartupLog, constants: MemoryConstants) -> Prediction:
        """Predict weights and cache tokens of ``log`` with ``constants``."""
        engine = constants.applied(self._engine)
        table = self._table(log, engine)
        room = table.room_bytes(log.device_bytes, log.memory_fraction, engine)
        tokens = float(np.min(room / table.sequence_bytes)) * log.max_model_tokens
        return Prediction(log=log, weights_bytes=float(table.weights_bytes[0]), cache_tokens=tokens)

    def fitted(self, logs: Sequence[StartupLog]) -> MemoryConstants:
        """Fit the constants: least absolute error of the activation peak, medians of what lies outside."""
        alone = [log.outside_bytes for log in logs if log.tensor_parallel == 1 and log.pipeline_parallel == 1]
        together = [log.outside_bytes for log in logs if log.tensor_parallel > 1]
        logits, workspace = self._activation_fit([log for log in logs if log.pipeline_parallel == 1])
        return MemoryConstants(
            logits_bytes_per_entry=logits,
            workspace_bytes=workspace,
            context_bytes=float(np.median(alone)) if alone else self._engine.context_bytes,
            parallel_context_bytes=float(np.median(together)) if together else self._engine.parallel_context_bytes,
        )

    def _activation_fit(self, logs: Sequence[StartupLog]) -> tuple[float, float]:
        measured = np.array([log.activations_bytes for log in logs])
        predicted = np.stack([self._peaks(log) for log in logs], axis=1)
        workspaces = np.median(measured - predicted, axis=1)
        errors = np.abs(measured - predicted - workspaces[:, None]).sum(axis=1)
        best = int(np.argmin(errors))
        return float(LOGITS_BYTES_GRID[best]), max(float(workspaces[best]), 0.0)

    def _peaks(self, log: StartupLog) -> npt.NDArray[np.float64]:
        """Activation peak of one log without workspace, for every value of the grid."""
        engine = replace(self._engine, workspace_bytes=0.0)
        without, one = (
            float(np.max(self._table(log, replace(engine, logits_bytes_per_entry=value)).activations_bytes))
            for value in (0.0, float(LOGITS_BYTES_GRID[-1]))
        )
        entries = card_limits_for(engine, log.device_bytes, log.generation).sequence_count * log.model.vocabulary_size
        peaks: npt.NDArray[np.float64] = one - entries * (LOGITS_BYTES_GRID[-1] - LOGITS_BYTES_GRID)
        return np.maximum(without, peaks)

    def _table(self, log: StartupLog, engine: ServingEngine) -> LayoutTable:
        made = self._footprint(log)
        stages = default_stages(log.model.layer_count, log.pipeline_parallel, engine)
        degrees = Degrees(log.tensor_parallel, log.pipeline_parallel, 1, 1, 1, stages)
        keeping = Keeping(
            engine=engine,
            limits=card_limits_for(engine, log.device_bytes, log.generation),
            cache_element_bytes=log.cache_element_bytes,
            state_padding=cache_paddings(made, engine),
        )
        return layout_table(made, keeping, [degrees], float(log.max_model_tokens))

    def _footprint(self, log: StartupLog) -> Footprint:
        return footprint(log.model, log.number_format, self._formats, with_mtp=False)


def left_out_predictions(engine: LogEngine, logs: Sequence[StartupLog]) -> list[Prediction]:
    """Predict each log with constants fitted on all families but its own."""
    families = sorted({log.lineage for log in logs})
    fitted = {family: engine.fitted([log for log in logs if log.lineage != family]) for family in families}
    return [engine.predicted(log, fitted[log.lineage]) for log in logs]


def votes(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Keep one prediction per (model, TP, PP, format): the one with the median error of the cache."""
    groups: dict[tuple[str, int, int, str], list[Prediction]] = {}
    for prediction in predictions:
        groups.setdefault(prediction.log.vote, []).append(prediction)
    return [sorted(group, key=lambda one: one.cache_error_fraction)[len(group) // 2] for group in groups.values()]
