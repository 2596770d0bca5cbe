"""From a question to the compiled loop and back: tables in, an outcome out."""

from math import inf
from typing import cast

import numpy as np
import numpy.typing as npt

from domain.engine.outcome import Outcome
from domain.engine.request_stream import Arrivals, ClosedLoop, OpenLoop, Requests, UnsoundRequests
from domain.engine.scheduler import Scheduler
from domain.engine.scheduling_loop import MOST_STEPS, NOBODY, SAME_TOKEN, Surface, play
from domain.engine.scheduling_state import PLACE, RULES, RUN, SEQUENCE, Places, Rules, Run, Sequences
from domain.engine.step_grid import StepGrid


def played(grid: StepGrid, scheduler: Scheduler, requests: Requests, arrivals: Arrivals) -> Outcome:
    """Play the load to its end."""
    seqs = _table(scheduler, requests)
    run = _start(requests, arrivals)
    if isinstance(arrivals, OpenLoop):
        seqs["arrival_s"] = arrivals.arrival_s
    places = np.zeros(requests.count, PLACE)
    play(_surface(grid), _rules(scheduler, arrivals), cast("Sequences", seqs), cast("Places", places), run)
    return Outcome(
        output_tokens=requests.output_tokens,
        arrival_s=seqs["arrival_s"],
        first_token_s=seqs["first_s"],
        last_token_s=seqs["last_s"],
        is_open=isinstance(arrivals, OpenLoop),
        mean_running_count=float(run.running_s / run.time_s),
        peak_running_count=int(run.peak_running),
        peak_kv_tokens=float(run.peak_held_tokens),
        preemption_count=int(run.preemptions),
        step_count=int(run.steps),
        jump_count=int(run.jumps),
    )


def _table(scheduler: Scheduler, requests: Requests) -> npt.NDArray[np.void]:
    seqs = np.zeros(requests.count, SEQUENCE)
    steps = np.ceil((requests.output_tokens - 1) / scheduler.tokens_per_step - SAME_TOKEN)
    seqs["steps"] = steps
    seqs["to_say"] = 1 + steps * scheduler.tokens_per_step
    seqs["output"] = requests.output_tokens
    seqs["prompt"] = requests.input_tokens
    seqs["left"] = np.maximum(requests.input_tokens - requests.cached_tokens, 1)
    seqs["first_s"] = -1
    return seqs


def _start(requests: Requests, arrivals: Arrivals) -> Run:
    run = cast("Run", _record(RUN))
    run.partial = NOBODY
    run.next_ending = MOST_STEPS
    run.next_arrival_s = inf
    match arrivals:
        case ClosedLoop(concurrency=clients):
            run.sent = min(clients, requests.count)
        case OpenLoop(arrival_s=times):
            if times.size != requests.count:
                raise UnsoundRequests("Every request comes once.")
            run.next_arrival_s = float(times[0])
    return run


def _surface(grid: StepGrid) -> Surface:
    return Surface(
        decoding_counts=np.ascontiguousarray(grid.decoding_counts, np.float64),
        prefill_tokens=np.ascontiguousarray(grid.prefill_tokens, np.float64),
        context_tokens=np.ascontiguousarray(grid.context_tokens, np.float64),
        step_s=np.ascontiguousarray(np.pad(grid.step_s, ((0, 1), (0, 1), (0, 0)), mode="edge"), np.float64),
        prefill_pair_s=float(grid.prefill_pair_s),
    )


def _rules(scheduler: Scheduler, arrivals: Arrivals) -> Rules:
    rules = cast("Rules", _record(RULES))
    rules.prefill_first = scheduler.order == "prefill_first"
    rules.chunked_prefill = scheduler.chunked_prefill
    rules.closed_loop = isinstance(arrivals, ClosedLoop)
    rules.running_limit = scheduler.running_limit
    rules.batched_tokens = scheduler.batched_tokens
    rules.scheduled_tokens = scheduler.scheduled_tokens
    rules.depth = scheduler.pipeline_depth
    rules.capacity_tokens = scheduler.kv_capacity_tokens + SAME_TOKEN
    rules.lost_tokens = scheduler.lost_tokens
    rules.reserved_output_fraction = scheduler.reserved_output_fraction
    rules.gain_tokens = scheduler.tokens_per_step
    return rules


def _record(kind: "np.dtype[np.void]") -> object:
    return np.zeros(1, kind).view(np.recarray)[0]


def load() -> None:
    """Compile the loop, or load it, by playing a single token."""
    one = np.ones(1, np.int64)
    grid = StepGrid(
        decoding_counts=np.zeros(1),
        prefill_tokens=np.zeros(1),
        context_tokens=np.zeros(1),
        step_s=np.ones((1, 1, 1)),
        prefill_pair_s=0.0,
    )
    scheduler = Scheduler(
        order="mixed",
        chunked_prefill=True,
        sequence_limit=1,
        batched_tokens=1,
        kv_capacity_tokens=3.0,
        block_tokens=1,
        reserved_output_fraction=0.0,
        tokens_per_step=1.0,
        scheduled_tokens=1,
        pipeline_depth=1,
    )
    requests = Requests(input_tokens=one, cached_tokens=0 * one, output_tokens=one)
    played(grid, scheduler, requests, ClosedLoop(concurrency=1))
