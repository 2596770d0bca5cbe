"""What a simulated run gives: times of each request, and of the engine as a whole."""

from dataclasses import dataclass

import numpy as np

from domain.engine.request_stream import Tokens
from domain.quantity import Column

GROWTH_FRACTION = 0.05
"""Share of the requests of a while that may be left over at its end before the queue counts as growing: the 1 000
requests of a stable run leave over fewer by chance."""

SLOWING = 1.1
"""Ratio of later to earlier times in the system from which requests count as slowed down by a growing queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """A spread over requests, as benchmarks of serving engines report it; NaN where no request has the quantity."""

    mean: float
    p50: float
    p95: float
    p99: float


def percentiles(values: Column) -> Percentiles:
    """Return the mean and the percentiles of ``values``, linear between two of them; NaN does not count."""
    known = values[~np.isnan(values)]
    if not known.size:
        return Percentiles(mean=np.nan, p50=np.nan, p95=np.nan, p99=np.nan)
    p50, p95, p99 = np.percentile(known, (50, 95, 99)).tolist()
    return Percentiles(mean=float(known.mean()), p50=p50, p95=p95, p99=p99)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """A run that went to its end. Arrays stand in the order in which the requests were sent."""

    output_tokens: Tokens
    arrival_s: Column
    first_token_s: Column
    last_token_s: Column
    is_open: bool
    """Whether requests came whatever the engine had done by then."""
    mean_running_count: float
    """Sequences admitted and not ended, over time."""
    peak_running_count: int
    peak_kv_tokens: float
    """Most tokens of cache that a step began with, what is lost in blocks included."""
    preemption_count: int
    step_count: int
    """Steps that the engine made; rounds under a pipeline."""
    jump_count: int
    """Sums in which they were taken."""

    @property
    def ttft_s(self) -> Column:
        """Arrival to first token, queueing included."""
        return self.first_token_s - self.arrival_s

    @property
    def tpot_s(self) -> Column:
        """(Last token - first token) / (output tokens - 1); NaN where there is one token alone."""
        gaps = self.output_tokens - 1
        return np.where(gaps > 0, (self.last_token_s - self.first_token_s) / np.maximum(gaps, 1), np.nan)

    @property
    def end_to_end_s(self) -> Column:
        """Arrival to last token."""
        return self.last_token_s - self.arrival_s

    @property
    def makespan_s(self) -> float:
        """Start to the end of the last request: what a benchmark divides its tokens by."""
        return float(self.last_token_s.max())

    @property
    def output_tokens_per_s(self) -> float:
        """Output tokens over the whole run, ramp-up and tail included."""
        return float(self.output_tokens.sum()) / self.makespan_s

    @property
    def steady_output_tokens_per_s(self) -> float:
        """Output tokens per second between the ends of the first and the third quarter of the requests.

        A request's tokens are taken as evenly spread from its first to its last. Where all end together, as in one
        burst that runs at once, there is no such middle, and the whole run stands for it.
        """
        start, end = np.quantile(self.last_token_s, (0.25, 0.75), method="inverted_cdf")
        if end <= start:
            return self.output_tokens_per_s
        first = (self.first_token_s > start) & (self.first_token_s <= end)
        spread = np.maximum(self.last_token_s - self.first_token_s, np.finfo(float).tiny)
        within = np.minimum(self.last_token_s, end) - np.maximum(self.first_token_s, start)
        later = (self.output_tokens - 1) * np.maximum(within, 0.0) / spread
        return float((first + later).sum() / (end - start))

    @property
    def saturated(self) -> bool:
        """Whether more requests came than the engine could serve, so that the queue grew all through the run.

        True where over the second half of the arrivals more are left over than chance explains, and the last
        quarter stays longer than the second did. A run shorter than a request stays cannot tell; a burst has no rate.
        """
        if not self.is_open or self.arrival_s[-1] <= self.arrival_s[0]:
            return False
        middle = self.arrival_s[self.arrival_s.size // 2]
        end = self.arrival_s[-1]
        come = np.count_nonzero(self.arrival_s > middle)
        served = np.count_nonzero((self.last_token_s > middle) & (self.last_token_s <= end))
        stay = np.array_split(self.end_to_end_s, 4)
        return bool(come - served > GROWTH_FRACTION * come and stay[3].mean() > SLOWING * stay[1].mean())
