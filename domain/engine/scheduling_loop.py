"""The loop of a serving engine, compiled at its first use: admit, prefill, decode, jump to where something changes.

All compiled functions and their constants stand in this one file, because the cache on disk knows a result by the file
that it came from. Nothing imports it before a simulation is asked for: the compiler alone takes a third of a second.
"""

from collections.abc import Callable
from math import ceil, inf, sqrt
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np

from domain.engine.scheduling_state import Places, Rules, Run, Sequences
from domain.quantity import Column

SAME_INSTANT_S = 1e-9
"""What comes within this time of the start of a step comes with it: sums of times differ in their last bits."""

SAME_TOKEN = 1e-6
"""Part of a token by which the cache may be overfull, for the same reason."""

MOST_STEPS = 1 << 60
"""Where nothing bounds the steps of a kind."""

NOBODY = -1

WITHOUT_DOOR: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options for functions that Python and C never call: doors for them would take half as long again to compile."""

Spot = tuple[int, int, float, float]
"""Row and column of a cell of the grid, and how far into it."""

F = TypeVar("F", bound=Callable[..., object])


def entrance(function: F) -> F:
    """Compile at the first call, and keep the result on disk where a place for it can be written."""
    try:
        return cast("F", numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # no place for it, neither beside the source nor in a home: once per process then
        return cast("F", numba.njit(nogil=True)(function))


def part(function: F) -> F:
    """Compile along with the entrance."""
    return cast("F", numba.njit(nogil=True, **WITHOUT_DOOR)(function))


class Surface(NamedTuple):
    """A step grid, with its last sequences and prompt tokens repeated so that every point has a next one."""

    decoding_counts: Column
    prefill_tokens: Column
    context_tokens: Column
    step_s: Column
    prefill_pair_s: float


@part
def _anyone_waits(run: Run) -> bool:
    return run.preempted > 0 or run.head < run.sent


@part
def _receive(rules: Rules, seqs: Sequences, run: Run) -> None:
    """Let requests come; in a closed loop they come where others end."""
    while not rules.closed_loop and run.next_arrival_s <= run.time_s + SAME_INSTANT_S:
        run.sent += 1
        run.next_arrival_s = seqs[run.sent].arrival_s if run.sent < seqs.size else inf


@part
def _leave(rules: Rules, seqs: Sequences, run: Run, one: int, said: float) -> None:
    """Give back what a sequence holds, its place among those that run excepted."""
    run.running -= 1
    run.held_tokens -= seqs[one].prompt + said + rules.lost_tokens
    run.promised_tokens -= seqs[one].to_say - said
    if one == run.partial:
        run.partial = NOBODY
    else:
        run.decoding -= 1
        run.context_tokens -= seqs[one].prompt + said


@part
def _preempt(rules: Rules, seqs: Sequences, places: Places, run: Run) -> None:
    """Take the cache from the sequence that was admitted last; what it has said belongs to its prompt now."""
    one = places[run.running - 1].running
    seq = seqs[one]
    said = 0.0 if one == run.partial else seq.to_say - rules.gain_tokens * (seq.ending_at - run.decode_steps)
    _leave(rules, seqs, run, one, said)
    whole = int(said + SAME_TOKEN)
    seq.prompt += whole
    seq.left = seq.prompt
    seq.output -= whole
    seq.steps = ceil((seq.output - 1) / rules.gain_tokens - SAME_TOKEN)
    seq.to_say = 1 + seq.steps * rules.gain_tokens
    places[run.preempted].preempted = one
    run.preempted += 1
    run.preemptions += 1


@part
def _prefill_room(rules: Rules, decoding: int) -> int:
    """Prompt tokens for which one microbatch has room beside its share of the decoding sequences."""
    if rules.prefill_first:
        return rules.batched_tokens
    share = (decoding + rules.depth - 1) // rules.depth
    return rules.batched_tokens - share * rules.scheduled_tokens


@part
def _admit(rules: Rules, seqs: Sequences, places: Places, run: Run, room: int) -> int:
    """Let the first in line in, if there is room for it in the step, among the sequences and in the cache."""
    if run.running >= rules.running_limit or not _anyone_waits(run):
        return NOBODY
    one = places[run.preempted - 1].preempted if run.preempted > 0 else run.head
    if not rules.chunked_prefill and room < min(seqs[one].left, rules.batched_tokens):
        return NOBODY
    held = run.held_tokens + seqs[one].prompt + rules.lost_tokens
    promised = run.promised_tokens + seqs[one].to_say
    if held + rules.reserved_output_fraction * promised > rules.capacity_tokens:
        return NOBODY
    if run.preempted > 0:
        run.preempted -= 1
    else:
        run.head += 1
    run.held_tokens = held
    run.promised_tokens = promised
    places[run.running].running = one
    run.running += 1
    return one


@part
def _take_prompts(rules: Rules, seqs: Sequences, places: Places, run: Run, room: int) -> tuple[int, float]:
    """Give prompts the room that a step has for them; return tokens, and pairs of a token and one before it."""
    taken, pairs = 0, 0.0
    while taken < room:
        if run.partial == NOBODY:
            run.partial = _admit(rules, seqs, places, run, room - taken)
        if run.partial == NOBODY:
            break
        seq = seqs[run.partial]
        piece = min(seq.left, room - taken)
        pairs += piece * (seq.prompt - seq.left + piece / 2)
        taken += piece
        seq.left -= piece
        if seq.left == 0:
            run.partial = NOBODY
    return taken, pairs


@part
def _place(axis: Column, value: float) -> tuple[int, float]:
    """Return the cell that holds ``value`` and how far into it, clamped at both ends."""
    cell = int(np.searchsorted(axis, value, side="right"))
    if cell in (0, axis.size):
        return max(cell - 1, 0), 0.0
    return cell - 1, float((value - axis[cell - 1]) / (axis[cell] - axis[cell - 1]))


@part
def _mixed(times: Column, spot: Spot, cell: int) -> float:
    """Time at a context of the grid, between the four points around a spot."""
    row, column, up, right = spot
    lower = (1 - right) * times[row, column, cell] + right * times[row, column + 1, cell]
    upper = (1 - right) * times[row + 1, column, cell] + right * times[row + 1, column + 1, cell]
    return float((1 - up) * lower + up * upper)


@part
def _step_line(surface: Surface, decoding: float, prefill: float, context: float) -> tuple[float, float, float]:
    """Step time at a point, its rise with context, and where the cell of the grid ends in which both hold."""
    row, up = _place(surface.decoding_counts, decoding)
    column, right = _place(surface.prefill_tokens, prefill)
    spot = row, column, up, right
    contexts = surface.context_tokens
    cell = int(np.searchsorted(contexts, context, side="right"))
    start = _mixed(surface.step_s, spot, max(cell - 1, 0))
    if cell == contexts.size:
        return start, 0.0, inf
    if cell == 0:
        return start, 0.0, contexts[0]
    width = contexts[cell] - contexts[cell - 1]
    rise = (_mixed(surface.step_s, spot, cell) - start) / width
    return start + rise * (context - contexts[cell - 1]), rise, contexts[cell]


@part
def _line(
    surface: Surface, rules: Rules, run: Run, decoding: int, prompts: tuple[int, float]
) -> tuple[float, float, int]:
    """Time of a round, its rise from one round to the next, and for how many rounds both hold at most."""
    taken, pairs = prompts
    fullest = min(taken, _prefill_room(rules, run.decoding))
    pair_s = rules.depth * surface.prefill_pair_s * fullest / taken if taken > 0 else 0.0
    rise_s = pair_s * taken * taken
    if decoding == 0:
        step_s, _, _ = _step_line(surface, 0.0, fullest, 0.0)
        return rules.depth * step_s + pair_s * pairs, rise_s, MOST_STEPS
    context = run.context_tokens / decoding
    step_s, step_rise_s, end = _step_line(surface, max(decoding / rules.depth, 1.0), fullest, context)
    gain = rules.gain_tokens
    room_in_cache = (rules.capacity_tokens - run.held_tokens) / (gain * decoding)
    steps = min(int(min((end - context) / gain, room_in_cache)) + 1, run.next_ending - run.decode_steps)
    return rules.depth * step_s + pair_s * pairs, rise_s + rules.depth * gain * step_rise_s, steps


@part
def _whole_pieces(seqs: Sequences, run: Run, room: int, most: int) -> int:
    """Steps that one long prompt fills alone, each with ``room`` tokens of it; they are taken from it."""
    seq = seqs[run.partial]
    steps = min(most, 1 + seq.left // room)
    seq.left -= room * (steps - 1)
    if seq.left == 0:
        run.partial = NOBODY
    return steps


@part
def _steps_until(wait_s: float, step_s: float, rise_s: float, most: int) -> int:
    """Steps that begin before ``wait_s`` has passed, ``most`` at most; k steps take k t + r k (k - 1) / 2."""
    if most * step_s + rise_s * (most * (most - 1) / 2) <= wait_s:
        return most
    slope = step_s - rise_s / 2
    root = 2 * wait_s / (slope + sqrt(max(slope * slope + 2 * rise_s * wait_s, 0.0)))
    return max(min(ceil(root), most), 1)


@part
def _pass(rules: Rules, run: Run, steps: int, decoding: int, duration_s: float) -> None:
    """Let time pass, and every decoding sequence gain its tokens."""
    grown = rules.gain_tokens * decoding
    run.peak_running = max(run.peak_running, run.running)
    run.peak_held_tokens = max(run.peak_held_tokens, run.held_tokens + grown * (steps - 1))
    run.steps += steps
    run.jumps += 1
    run.time_s += duration_s
    run.running_s += duration_s * run.running
    if decoding > 0:
        run.decode_steps += steps
        run.context_tokens += grown * steps
        run.held_tokens += grown * steps
        run.promised_tokens -= grown * steps


@part
def _prompts_done(run: Run) -> int:
    """Running sequences whose prompt is computed: all but the last, where that is in part."""
    return run.running if run.partial == NOBODY else run.running - 1


@part
def _begin_outputs(seqs: Sequences, places: Places, run: Run, first: int) -> None:
    """Let those from place ``first`` on whose prompts are done say their first token."""
    for place in range(first, _prompts_done(run)):
        seq = seqs[places[place].running]
        if seq.first_s < 0:
            seq.first_s = run.time_s
        run.decoding += 1
        run.context_tokens += seq.prompt + 1
        run.held_tokens += 1
        run.promised_tokens -= 1
        seq.ending_at = run.decode_steps + seq.steps
        run.next_ending = min(run.next_ending, seq.ending_at)


@part
def _end(rules: Rules, seqs: Sequences, run: Run, one: int) -> None:
    _leave(rules, seqs, run, one, seqs[one].to_say)
    seqs[one].last_s = run.time_s
    run.ended += 1
    if rules.closed_loop and run.sent < seqs.size:
        seqs[run.sent].arrival_s = run.time_s
        run.sent += 1


@part
def _end_outputs(rules: Rules, seqs: Sequences, places: Places, run: Run) -> None:
    """Let those go that have said everything, close ranks, and find out when the next one ends."""
    kept = 0
    run.next_ending = MOST_STEPS
    for place in range(run.running):
        one = places[place].running
        if one != run.partial and seqs[one].ending_at <= run.decode_steps:
            _end(rules, seqs, run, one)
            continue
        places[kept].running = one
        kept += 1
        if one != run.partial:
            run.next_ending = min(run.next_ending, seqs[one].ending_at)


@part
def _step(surface: Surface, rules: Rules, seqs: Sequences, places: Places, run: Run) -> None:
    """Fill one step, take as many of its kind as follow before anything else happens, and see who begins or ends."""
    decoded = _prompts_done(run)
    room = _prefill_room(rules, run.decoding) * rules.depth
    taken, pairs = _take_prompts(rules, seqs, places, run, room)
    decoding = 0 if taken > 0 and rules.prefill_first else run.decoding
    step_s, rise_s, steps = _line(surface, rules, run, decoding, (taken, pairs))
    if taken > 0:
        alone = run.partial != NOBODY and run.running == decoded + 1
        steps = _whole_pieces(seqs, run, taken, steps) if alone else 1
    elif run.running < rules.running_limit and not _anyone_waits(run):
        steps = _steps_until(run.next_arrival_s - SAME_INSTANT_S - run.time_s, step_s, rise_s, steps)
    _pass(rules, run, steps, decoding, steps * step_s + rise_s * (steps * (steps - 1) / 2))
    if taken > 0:
        _begin_outputs(seqs, places, run, decoded)
    if run.decode_steps >= run.next_ending:
        _end_outputs(rules, seqs, places, run)


@entrance
def play(surface: Surface, rules: Rules, seqs: Sequences, places: Places, run: Run) -> None:
    """Run to the end of the last request."""
    while run.ended < seqs.size:
        if run.running == 0 and not _anyone_waits(run):
            run.time_s = max(run.time_s, run.next_arrival_s)
        _receive(rules, seqs, run)
        while run.held_tokens > rules.capacity_tokens:
            _preempt(rules, seqs, places, run)
        _step(surface, rules, seqs, places, run)
