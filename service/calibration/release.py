"""The calibration as a file of a catalog release."""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from domain.quantity import Column, recorded
from service.calibration.fit import PARAMETERS, SCOPES, Fit, member

SOURCE = "calibration-2026-11"
DIGITS = 4
ASSUMED: Mapping[str, tuple[float, str]] = {
    "accepted_draft_fraction": (0.32, "rows with one draft fit 1.32 tokens a step, with three 2.0; papers report 0.8"),
    "ttft_p50_ratio": (0.87, "lognormal whose p99 is 2.9 times its mean, the median of 86 measured pairs"),
    "ttft_p95_ratio": (2.05, "lognormal whose p99 is 2.9 times its mean, the median of 86 measured pairs"),
    "ttft_p99_ratio": (2.9, "median of 86 measured pairs of p99 and mean"),
    "tpot_p50_ratio": (1.0, "median of 48 measured pairs of median and mean"),
    "tpot_p95_ratio": (1.1, "lognormal whose p99 is 1.15 times its mean"),
    "tpot_p99_ratio": (1.15, "median of 90 measured pairs of p99 and mean"),
}
"""Parameters that no least squares give: medians of measured pairs, with what they rest on."""
LEAST_EFFECT = 0.002
"""A factor nearer to 1 than this says nothing."""


def calibration_toml(fit: Fit, point: Column, spreads: Mapping[str, float]) -> str:
    """Return the file: parameters as facts, then the factors of groups, how many rows stand behind them, spreads."""
    return "\n".join(_lines(fit, np.exp(point), spreads)) + "\n"


def _lines(fit: Fit, values: Column, spreads: Mapping[str, float]) -> Iterator[str]:
    yield "# Written by `make calibrate`; see the source for the measurements and the method."
    yield "[calibration]"
    yield f'source = "{SOURCE}"'
    yield 'note = "Fractions are of dense peaks; effects multiply; a key that is not listed is 1"'
    yield "\n[calibration.parameters]"
    for parameter in PARAMETERS:
        value = values[fit.space.index[parameter.name]]
        note = f"fitted between {parameter.low:g} and {parameter.high:g}"
        yield f'{parameter.name} = {{ value = {_text(value)}, kind = "derived", source = "{SOURCE}", note = "{note}" }}'
    for name, (value, note) in ASSUMED.items():
        yield f'{name} = {{ value = {value}, kind = "derived", source = "{SOURCE}", note = "{note}" }}'
    for scope in SCOPES:
        yield from _scope(fit, values, scope)
    yield "\n[calibration.spreads]"
    for name, value in sorted(spreads.items()):
        yield f'"{name}" = {_text(value)}'


def _scope(fit: Fit, values: Column, scope: str) -> Iterator[str]:
    counts = Counter(member(scope, key) for key in fit.design.keys)
    yield f'\n[calibration.effects."{scope}"]'
    for group in sorted(counts):
        factor = values[fit.space.index[f"{scope}={group}"]]
        if abs(factor - 1.0) >= LEAST_EFFECT:
            yield f'"{group}" = {_text(factor)}'
    yield f'[calibration.counts."{scope}"]'
    for group, count in sorted(counts.items()):
        yield f'"{group}" = {count}'


def _text(value: float) -> str:
    return repr(recorded(float(f"{value:.{DIGITS}g}")))
