r"""A serving engine's scheduler, step by step in its effect and event by event in its cost.

What a closed form cannot say of a load is said by playing it: how long requests queue, how a burst drains, what the
95th percentile is. The engine is one loop: admit, prefill, decode, one step after the other (`Scheduler` has the
rules). Between two events (a request comes, a prompt or an output ends, the cache runs out) steps differ only in the
context of the decoding sequences, which grows by the same amount in each. Their time is linear in it within a cell
of the grid, so any number of them is one sum:

.. math:: t_k = k \, t + r \, k (k - 1) / 2

t the time of the first step [s], r the rise from one step to the next [s], k steps. Work so grows with the requests,
two or three jumps each, and not with the tokens that they say.

Jumping alone did not do: a thousand requests took plain Python 4 to 13 ms, 4 microseconds a jump. The loop is
therefore compiled, which brings it to 0.2 to 1 ms. The price is paid at the first question: 3 to 5 seconds of
compiling in the first process, half a second of importing and loading in every later one where the result could be
kept on disk (beside the source, or else in the home of the user). `prepare` pays it ahead of time. The loop lets go
of the interpreter's lock, so that threads play side by side.

A pipeline of depth d is played in rounds: every running sequence decodes once, d microbatches pass, each with 1/d of
the sequences, and nobody overtakes, so that the round lasts d times the slowest microbatch in the slowest stage.
A prompt alone thus waits for all stages, and pieces of prompts in flight together share a round; what it takes to
fill the pipeline within one long prompt is left out. Attention data parallelism is for the caller: one run per rank.
"""

from domain.engine.outcome import Outcome
from domain.engine.request_stream import Arrivals, Requests
from domain.engine.scheduler import Scheduler
from domain.engine.step_grid import StepGrid


class RequestNeverFits(ValueError):
    """A request of the load needs more cache than there is: it would wait for ever."""


def simulate(grid: StepGrid, scheduler: Scheduler, requests: Requests, arrivals: Arrivals) -> Outcome:
    """Play the load to its end and return when each request came, began to speak and ended.

    Deterministic: no clock, no chance. Raises `RequestNeverFits`, or `UnsoundRequests` where arrivals and requests
    differ in number.
    """
    # Whoever does not simulate shall not wait for the compiler to be imported.
    from domain.engine.scheduling_run import played  # noqa: PLC0415

    needed_tokens = float((requests.input_tokens + requests.output_tokens).max())
    needed_tokens += scheduler.tokens_per_step + scheduler.lost_tokens
    if needed_tokens > scheduler.kv_capacity_tokens:
        raise RequestNeverFits(
            f"A request needs {needed_tokens:.0f} tokens of cache, and there are {scheduler.kv_capacity_tokens:.0f}."
        )
    return played(grid, scheduler, requests, arrivals)


def prepare() -> None:
    """Compile, or load what was compiled before, so that the first question does not wait for it."""
    from domain.engine.scheduling_run import load  # noqa: PLC0415

    load()
