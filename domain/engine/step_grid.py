"""Step times on a grid: what a simulation reads instead of working a formula out at every step."""

from dataclasses import dataclass
from math import inf

import numpy as np

from domain.quantity import Column


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepGrid:
    """Time of one engine step over what the step holds, filled by the caller from the closed formulas.

    Under a pipeline the time is that of one microbatch in its slowest stage. Between points the time is linear in
    each direction, beyond the ends it is that of the end: the ends belong beyond the largest step of the engine.
    """

    decoding_counts: Column
    """Sequences that decode in the step, ascending; 0 first, for steps that hold only prompts."""
    prefill_tokens: Column
    """Prompt tokens in the step, ascending; 0 first, for steps that only decode."""
    context_tokens: Column
    """Mean tokens that a decoding sequence looks back on, ascending."""
    step_s: Column
    """Time [s] by (decoding sequences, prompt tokens, context), above 0."""
    prefill_pair_s: float
    """Time [s] per pair of a prompt token and a token before it, as far as ``step_s`` does not hold it.

    Lets later pieces of a long prompt cost more than the first; 0 where the grid already holds a mean.
    """

    def __post_init__(self) -> None:
        for axis in (self.decoding_counts, self.prefill_tokens, self.context_tokens):
            if axis.ndim != 1 or not axis.size or not (np.isfinite(axis).all() and (np.diff(axis) > 0).all()):
                raise ValueError("The points of a step grid ascend.")
        if self.step_s.shape != (self.decoding_counts.size, self.prefill_tokens.size, self.context_tokens.size):
            raise ValueError("A step grid has one time for each of its points.")
        if not (np.isfinite(self.step_s).all() and (self.step_s > 0).all() and 0 <= self.prefill_pair_s < inf):
            raise ValueError("A step takes a time above 0.")
