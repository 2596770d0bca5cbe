"""Numbers that are either one plan or one column of plans.

Names carry the unit: ``_bytes``, ``_bytes_per_s``, ``_flops``, ``_flops_per_s``, ``_s``, ``_tokens``,
``_tokens_per_s``, ``_w``, ``_usd_per_hour``; counts end in ``_count``, fractions (0 to 1) in ``_fraction``.
Base units only: no GB, no ms, no TFLOPS inside ``domain``.
"""

from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[np.float64]
Number = TypeVar("Number", float, Column)
"""One plan (``float``) or one column of plans (``Column``), never a mix in one call."""

EXPONENT_BITS = 24
"""Bits of the largest exponent: sixteen million tokens in one step."""

RECORDED_DIGITS = 10
"""Significant digits of a recorded number: the last bits differ between CPUs, these do not."""


def smaller(a: Number, b: Number) -> Number:
    """Return the smaller of ``a`` and ``b``, element by element."""
    return cast("Number", np.minimum(a, b))


def larger(a: Number, b: Number) -> Number:
    """Return the larger of ``a`` and ``b``, element by element."""
    return cast("Number", np.maximum(a, b))


def whole_up(a: Number) -> Number:
    """Round ``a`` up to a whole number, element by element."""
    return cast("Number", np.ceil(a))


def whole_down(a: Number) -> Number:
    """Round ``a`` down to a whole number, element by element."""
    return cast("Number", np.floor(a))


def recorded(a: float) -> float:
    """Round ``a`` to the significant digits that an event keeps."""
    return float(f"{a:.{RECORDED_DIGITS}g}")


def power(base: Number, exponent: Number) -> Number:
    """Return ``base ** exponent`` for a base from 0 to 1 and a non-negative exponent, linear between whole ones.

    Only multiplications and selections, so that one plan, a column, and every CPU give the same bits.
    """
    whole = whole_down(exponent)
    rest, squared, result = whole, base, base * 0.0 + 1.0
    for _ in range(EXPONENT_BITS):
        half = whole_down(rest / 2.0)
        result = cast("Number", np.where(rest - 2.0 * half > 0.0, result * squared, result))
        rest, squared = half, squared * squared
    return result * (1.0 + (exponent - whole) * (base - 1.0))
