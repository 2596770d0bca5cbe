"""How well the fit predicts what it has not seen: configurations, models and devices left out whole."""

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from domain.engine.rates import RateKey
from domain.quantity import Column
from service.calibration.fit import METRICS, Fit
from service.calibration.measurements import Measurement

FOLDS = 5
SHUFFLE_SEED = 20_261_101
ROUNDS = 15
TAIL = 5.0
"""Percent of the errors beyond each end of the 90 % interval."""
FEWEST_ROWS = 30
"""Rows below which a level of knowledge has no spread of its own."""
QUEUED_LOADS = ("closed-loop", "all-queued")


def is_fitted(row: Measurement) -> bool:
    """Whether the closed form speaks of the row: means in steady state."""
    if row.statistic == "p99" or row.metric not in METRICS:
        return False
    loads = {
        "tpot_ms": QUEUED_LOADS if row.output_tokens > 1 else (),
        "ttft_ms": ("closed-loop",),
        "output_tokens_per_s": QUEUED_LOADS,
    }
    return row.load in loads.get(row.metric, (row.load,))


def folds_of(names: Iterable[str]) -> npt.NDArray[np.int64]:
    """Put every row of one name into one of the folds."""
    listed = list(names)
    known = sorted(set(listed))
    order = np.random.default_rng(SHUFFLE_SEED).permutation(len(known))
    fold = {known[place]: turn % FOLDS for turn, place in enumerate(order)}
    return np.array([fold[name] for name in listed], dtype=np.int64)


def left_out_errors(fit: Fit, name: Callable[[Measurement], str]) -> tuple[Column, list[str]]:
    """Return the error of each row with all rows of its name left out, and what the fit still knew of it."""
    folds = folds_of(name(row) for row in fit.design.rows)
    errors = np.zeros(len(folds))
    levels = [""] * len(folds)
    for fold in range(FOLDS):
        out = folds == fold
        errors[out] = fit.errors(fit.fitted(~out, rounds=ROUNDS))[out]
        known = [key for key, is_out in zip(fit.design.keys, out, strict=True) if not is_out]
        for place in np.flatnonzero(out):
            levels[place] = knowledge(fit.design.keys[place], known_groups(known))
    return errors, levels


def known_groups(keys: Iterable[RateKey]) -> frozenset[tuple[str, str]]:
    """Groups that occur among ``keys``."""
    return frozenset(group for key in keys for group in key.groups())


def knowledge(key: RateKey, known: frozenset[tuple[str, str]]) -> str:
    """What is known of a row: ``engine_model``, ``model``, or only ``class``."""
    groups = dict(key.groups())
    if ("engine_model", groups["engine_model"]) in known:
        return "engine_model"
    return "model" if ("model", groups["model"]) in known else "class"


def spreads(fit: Fit, errors: Column, levels: list[str]) -> dict[str, float]:
    """Return the factors that span 90 % of what was measured, by metric and by what was known."""
    found: dict[str, list[float]] = defaultdict(list)
    for metric, level, error in zip(fit.metric, levels, errors, strict=True):
        found[f"{metric}/{level}"].append(float(error))
        found[f"{metric}/any"].append(float(error))
    factors: dict[str, float] = {}
    for name, group in found.items():
        if len(group) >= FEWEST_ROWS:
            low, high = np.percentile(group, [TAIL, 100.0 - TAIL])
            factors[f"{name}/low"] = float(np.exp(-high))
            factors[f"{name}/high"] = float(np.exp(-low))
    return factors
