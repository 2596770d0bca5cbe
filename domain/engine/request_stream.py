"""What is asked of a serving engine: lengths of requests, and when they come.

Nothing here draws by chance: whoever asks gives the seed, and the same seed gives the same requests.
"""

from dataclasses import dataclass
from math import exp, log1p, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from domain.quantity import Column

Tokens = npt.NDArray[np.int64]


class UnsoundRequests(ValueError):
    """Requests have tokens in and out, at least one of each, and come one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Requests:
    """Requests in the order in which they are sent."""

    input_tokens: Tokens
    cached_tokens: Tokens
    """Input tokens found in the prefix cache: they take room, but are not computed again."""
    output_tokens: Tokens

    def __post_init__(self) -> None:
        counts = {self.input_tokens.shape, self.cached_tokens.shape, self.output_tokens.shape}
        if len(counts) != 1 or self.input_tokens.ndim != 1 or not self.input_tokens.size:
            raise UnsoundRequests("Every request has input, cached and output tokens.")
        if self.input_tokens.min() < 1 or self.output_tokens.min() < 1 or self.cached_tokens.min() < 0:
            raise UnsoundRequests
        if (self.cached_tokens > self.input_tokens).any():
            raise UnsoundRequests("No more of an input is cached than there is.")

    @property
    def count(self) -> int:
        """Requests."""
        return self.input_tokens.size


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoop:
    """Clients that send their next request the moment their last one ends; all send the first at time 0.

    That first burst belongs to what benchmarks report (`InferenceMAX` sends ten requests per client): where a client
    sends few requests, the mean TTFT is mostly the queue of the burst, and grows with the number of clients.
    """

    concurrency: int

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise UnsoundRequests("A closed loop has at least one client.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenLoop:
    """Requests that come when they come, whatever the engine has done by then."""

    arrival_s: Column
    """Ascending; all 0 for a burst, or for everything queued before the start."""

    def __post_init__(self) -> None:
        if self.arrival_s.ndim != 1 or not np.isfinite(self.arrival_s).all():
            raise UnsoundRequests
        if (self.arrival_s < 0).any() or (np.diff(self.arrival_s) < 0).any():
            raise UnsoundRequests


Arrivals = ClosedLoop | OpenLoop


def burst(request_count: int) -> OpenLoop:
    """Return ``request_count`` requests sent at once."""
    return OpenLoop(arrival_s=np.zeros(request_count))


def open_loop(request_count: int, *, rate_per_s: float, variation: float, seed: int) -> OpenLoop:
    r"""Return requests whose gaps are gamma distributed with mean 1 / rate.

    .. math:: gap \sim \Gamma(k = 1 / v^2, \; \theta = v^2 / \lambda)

    v ``variation``: coefficient of variation of the gaps, 1 for a Poisson stream, 0 for an even one, above 1 for
    bursts; λ ``rate_per_s`` [requests/s]. The gaps are scaled so that their mean is exactly 1 / λ: a thousand
    requests would otherwise miss the asked rate by 3 % of v by chance.

    Source: vLLM, ``vllm bench serve``, whose burstiness is k.
    """
    if variation > 0:
        shape = 1 / (variation * variation)
        gaps = np.random.Generator(np.random.PCG64(seed)).standard_gamma(shape, request_count)
        gaps *= request_count / (gaps.sum() * rate_per_s)
    else:
        gaps = np.full(request_count, 1 / rate_per_s)
    return OpenLoop(arrival_s=np.cumsum(gaps))


def poisson(request_count: int, *, rate_per_s: float, seed: int) -> OpenLoop:
    """Return requests that come independently of each other."""
    return open_loop(request_count, rate_per_s=rate_per_s, variation=1.0, seed=seed)


def fixed_lengths(request_count: int, *, mean_tokens: float) -> Tokens:
    """Return lengths that differ by at most one token, so that their mean is ``mean_tokens`` where that is broken."""
    ends = np.floor(np.arange(request_count + 1) * mean_tokens + 0.5)
    lengths: Tokens = np.maximum(np.diff(ends).astype(np.int64), 1)
    return lengths


def lognormal_lengths(request_count: int, *, mean_tokens: float, variation: float, seed: int) -> Tokens:
    r"""Return lognormal lengths with the given mean and coefficient of variation, in an order of the seed.

    .. math:: l_i = e^{\mu + \sigma \, \Phi^{-1}((i + 1/2) / n)}, \qquad \sigma^2 = \ln(1 + v^2)

    v ``variation``, n ``request_count``. The lengths are the middles of n equally likely strata rather than drawn,
    and scaled to the mean [tokens]: only their order is left to chance, and two seeds differ in nothing else.
    """
    if variation <= 0:
        return fixed_lengths(request_count, mean_tokens=mean_tokens)
    sigma = sqrt(log1p(variation * variation))
    quantile = NormalDist().inv_cdf
    lengths = np.array([exp(sigma * quantile((i + 0.5) / request_count)) for i in range(request_count)])
    lengths *= mean_tokens / lengths.mean()
    return _shuffled(np.cumsum(lengths), seed)


def uniform_lengths(request_count: int, *, mean_tokens: float, half_width_fraction: float, seed: int) -> Tokens:
    r"""Return lengths between (1 - h) and (1 + h) times the mean, all equally likely, in an order of the seed.

    .. math:: l_i = m \, (1 + h \, (2 (i + 1/2) / n - 1))

    m ``mean_tokens`` [tokens], h ``half_width_fraction``, n ``request_count``. What serving benchmarks send: a random
    range ratio of r draws from r to 1 times what is asked for, hence a mean of (1 + r) / 2 of that and an h of
    (1 - r) / (1 + r), which is 0.11 for the usual r of 0.8. Without any spread the requests of a closed loop would go
    on ending together for ever.

    Source: InferenceMAX, README (``--random-range-ratio 0.8``, 10 requests per client, all clients at once).
    """
    middles = (2 * np.arange(request_count) + 1) / request_count - 1
    ends = np.cumsum(mean_tokens * (1 + half_width_fraction * middles))
    return _shuffled(ends, seed)


def _shuffled(ends: Column, seed: int) -> Tokens:
    """Return the whole lengths between ``ends``, at least 1 each, in an order of the seed."""
    whole = np.diff(np.floor(ends + 0.5), prepend=0.0)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(whole)
    return np.maximum(order.astype(np.int64), 1)
