"""The fit: few parameters with physical bounds, group factors drawn to 1, least absolute-like error in logarithms."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from domain.engine.rates import RateKey, reached
from domain.engine.serving import Served, scheduling, served
from domain.engine.step_time import step_time
from domain.quantity import Column
from service.calibration.design import Design


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: where the fit starts, what is physically possible, how far it may stray."""

    name: str
    start: float
    low: float
    high: float
    spread: float = 0.7
    """Prior spread of its logarithm."""


PARAMETERS = (
    Parameter(name="bandwidth_fraction", start=0.8, low=0.3, high=1.0),
    Parameter(name="compute_fraction", start=0.55, low=0.1, high=1.0),
    Parameter(name="expert_bandwidth_fraction", start=0.7, low=0.2, high=1.0),
    Parameter(name="cache_bandwidth_fraction", start=0.7, low=0.1, high=1.0),
    Parameter(name="attention_compute_fraction", start=0.4, low=0.05, high=1.0),
    Parameter(name="link_fraction", start=0.4, low=0.05, high=1.0),
    Parameter(name="exchange_fraction", start=0.39, low=0.05, high=1.0),
    Parameter(name="host_bus_factor", start=3.0, low=1.0, high=10.0),
    Parameter(name="message_s", start=6.7e-6, low=1e-6, high=5e-5),
    Parameter(name="step_s", start=1e-3, low=1e-4, high=1e-2),
    Parameter(name="sequence_s", start=1.5e-5, low=1e-7, high=3e-4),
    Parameter(name="layer_s", start=4e-5, low=2e-6, high=2e-4),
    Parameter(name="expert_layer_s", start=2e-5, low=1e-6, high=2e-4),
    Parameter(name="prefill_factor", start=1.0, low=0.3, high=3.0),
    Parameter(name="first_token_s", start=5e-3, low=1e-3, high=1e-1),
    Parameter(name="own_prefills", start=1.2, low=0.3, high=10.0),
    Parameter(name="others_prefills", start=0.2, low=0.001, high=1.0),
    Parameter(name="queueing", start=1.0, low=0.2, high=3.0),
)

SCOPES: Mapping[str, float] = {
    "bandwidth_fraction/generation": 0.2,
    "bandwidth_fraction/engine": 0.15,
    "compute_fraction/generation_type": 0.3,
    "compute_fraction/engine": 0.25,
    "step_s/engine": 0.7,
    "sequence_s/engine": 0.8,
    "layer_s/engine": 0.4,
    "expert_layer_s/engine": 0.4,
    "prefill_factor/engine": 0.4,
    "first_token_s/engine": 0.7,
    "own_prefills/engine": 0.7,
    "others_prefills/engine": 0.8,
    "step/engine_version": 0.15,
    "step/accelerator": 0.10,
    "step/model": 0.12,
    "step/engine_generation": 0.10,
    "step/engine_model": 0.12,
    "first_token/engine_version": 0.3,
    "first_token/accelerator": 0.2,
    "first_token/model": 0.15,
    "first_token/engine_generation": 0.2,
    "first_token/engine_model": 0.2,
}
"""Groups whose factors are fitted, and the prior spread of their logarithms: small ones are believed late."""
LARGEST_EFFECT = np.log(30.0)
PRIOR_WEIGHT = 0.3
ROW_WEIGHT = 3.0
FIRST_TOKEN_WEIGHT = 0.5
LOSS_SCALE = 0.3
"""Error of the logarithm beyond which a row counts less and less."""


def member(scope: str, key: RateKey) -> str:
    """Return the group of ``scope`` that a row belongs to."""
    kind = scope.partition("/")[2]
    fixed = {
        "generation": key.generation,
        "engine": key.engine,
        "generation_type": f"{key.generation}:{key.compute_type}",
        "engine_version": f"{key.engine}@{key.engine_version}",
    }
    return fixed.get(kind) or dict(key.groups())[kind]


class ColumnFactors:
    """Parameters and effects of a point of the fit, one value for each row."""

    def __init__(self, space: "Space", logarithms: Column) -> None:
        """Keep the point; effects are looked up by scope, rows know their group."""
        self._space = space
        self._values = np.exp(logarithms)

    def value(self, parameter: str) -> Column:
        """Return a parameter for every row."""
        return np.full(self._space.length, self._values[self._space.index[parameter]])

    def effect(self, scope: str, key: str) -> Column:  # noqa: ARG002 -- each row has its own key
        """Return the factor of each row's group."""
        return self._values[self._space.rows[scope]]


class Space:
    """The parameters and effects that a set of rows can tell, in one vector of logarithms."""

    def __init__(self, keys: Sequence[RateKey]) -> None:
        """Number the parameters, then every group that occurs."""
        self.length = len(keys)
        self.names = [parameter.name for parameter in PARAMETERS]
        self.rows: dict[str, npt.NDArray[np.int64]] = {}
        start = [np.log(parameter.start) for parameter in PARAMETERS]
        low = [np.log(parameter.low) for parameter in PARAMETERS]
        high = [np.log(parameter.high) for parameter in PARAMETERS]
        spread = [parameter.spread for parameter in PARAMETERS]
        for scope, width in SCOPES.items():
            members = [member(scope, key) for key in keys]
            groups = sorted(set(members))
            places = {group: len(self.names) + place for place, group in enumerate(groups)}
            self.rows[scope] = np.array([places[group] for group in members], dtype=np.int64)
            self.names.extend(f"{scope}={group}" for group in groups)
            start.extend([0.0] * len(groups))
            low.extend([-LARGEST_EFFECT] * len(groups))
            high.extend([LARGEST_EFFECT] * len(groups))
            spread.extend([width] * len(groups))
        self.start, self.low, self.high, self.spread = (np.array(one) for one in (start, low, high, spread))
        self.index = {name: place for place, name in enumerate(self.names)}


def predict(design: Design, factors: ColumnFactors) -> Served[Column]:
    """Predict every row of the design with the engine's own functions."""
    rates = reached(design.peaks, design.keys[0], factors)
    decode = step_time(design.decode_work, rates).total_s
    mixed = step_time(design.mixed_work, rates).total_s
    return served(design.case, design.batch, decode, mixed, scheduling(factors, design.keys[0]))


METRICS = {
    "tpot_ms": "tpot_s",
    "ttft_ms": "ttft_s",
    "e2e_latency_ms_mean": "end_to_end_s",
    "output_tokens_per_s": "output_tokens_per_s",
    "prefill_tokens_per_s": "prefill_tokens_per_s",
}


class Fit:
    """Rows with their design, and the fit of any part of them."""

    def __init__(self, design: Design) -> None:
        """Pick out the measured value of each row and the weight of its configuration."""
        self.design = design
        self.space = Space(design.keys)
        self.measured = np.log(np.array([row.value for row in design.rows]))
        self.metric = np.array([METRICS[row.metric] for row in design.rows])
        self.configuration = np.array([str(row.configuration) for row in design.rows])
        sizes = Counter(self.configuration)
        weights = np.array([1.0 / np.sqrt(sizes[one]) for one in self.configuration])
        self.weight = ROW_WEIGHT * weights * np.where(self.metric == "ttft_s", FIRST_TOKEN_WEIGHT, 1.0)

    def errors(self, point: Column) -> Column:
        """Logarithm of predicted over measured, every row."""
        seen = predict(self.design, ColumnFactors(self.space, point))
        predicted = np.zeros(len(self.measured))
        for name in set(METRICS.values()):
            rows = self.metric == name
            predicted[rows] = np.log(np.maximum(getattr(seen, name), 1e-12))[rows]
        errors: Column = predicted - self.measured
        return errors

    def fitted(self, rows: npt.NDArray[np.bool_], start: Column | None = None, *, rounds: int = 40) -> Column:
        """Fit on ``rows``; groups that they do not show stay at 1."""

        def residuals(point: Column) -> Column:
            prior = PRIOR_WEIGHT * (point - self.space.start) / self.space.spread
            return np.concatenate(((self.weight * self.errors(point))[rows], prior))

        found = least_squares(
            residuals,
            self.space.start if start is None else start,
            bounds=(self.space.low - 1e-9, self.space.high + 1e-9),
            loss="soft_l1",
            f_scale=LOSS_SCALE,
            max_nfev=rounds,
        )
        return np.asarray(found.x, dtype=np.float64)
