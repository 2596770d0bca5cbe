"""How far predictions are from measurements, in the figures that every accuracy table uses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NINE_TENTHS = 90.0
NEAR_FRACTION, FAR_FRACTION = 0.10, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Errors of one metric over the votes of one group; all fractions of the measured value."""

    count: int
    median_fraction: float
    """Median of the absolute error."""
    p90_fraction: float
    bias_fraction: float
    """Median of the signed error."""
    within_10_percent_fraction: float
    within_25_percent_fraction: float


def score(errors: Sequence[float]) -> Score:
    """Summarise signed relative ``errors``; raises ValueError when there is none."""
    if not errors:
        message = "no prediction to score"
        raise ValueError(message)
    signed = np.array(errors, dtype=np.float64)
    absolute = np.abs(signed)
    return Score(
        count=len(errors),
        median_fraction=float(np.median(absolute)),
        p90_fraction=float(np.percentile(absolute, NINE_TENTHS)),
        bias_fraction=float(np.median(signed)),
        within_10_percent_fraction=float(np.mean(absolute <= NEAR_FRACTION)),
        within_25_percent_fraction=float(np.mean(absolute <= FAR_FRACTION)),
    )
