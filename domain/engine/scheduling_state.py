"""What the compiled loop works on: records, named field by field.

Records rather than tuples, because the names of their fields are part of their type: a result that the compiler kept
on disk is never taken for fields that have changed since.
"""

from typing import Protocol, get_type_hints

import numpy as np


class Rules:
    """A scheduler's rules, as the loop wants them: the fields of the one record of this kind."""

    prefill_first: bool
    chunked_prefill: bool
    closed_loop: bool
    running_limit: int
    batched_tokens: int
    scheduled_tokens: int
    depth: int
    capacity_tokens: float
    lost_tokens: float
    reserved_output_fraction: float
    gain_tokens: float


class Sequence:
    """One request: the fields of a record, of which the compiled functions share a table."""

    arrival_s: float
    first_s: float
    """Below 0 until the first token."""
    last_s: float
    to_say: float
    """Tokens that the prompt and the steps yield: the output, or part of a step more."""
    prompt: int
    """Tokens to hold before it goes on speaking: the input, and what it had said when it was preempted."""
    left: int
    """Those of the prompt that are still to be computed."""
    output: int
    """Tokens to say after the prompt."""
    steps: int
    """Decoding steps after the prompt."""
    ending_at: int
    """Decoding step after which it ends, once it decodes."""


class Place:
    """Who stands where: the fields of a record, of which there are as many as requests."""

    running: int
    """The sequence at this place among those that run, in the order of admission."""
    preempted: int
    """The sequence at this place among those that were preempted and wait ahead of all others, last in first out."""


class Run:
    """The engine between two steps: the fields of the one record of this kind."""

    time_s: float
    running_s: float
    """Sum over time of those that run."""
    next_arrival_s: float
    context_tokens: float
    """Sum over those that decode."""
    held_tokens: float
    """Cache taken by those that run, what is lost in blocks included."""
    promised_tokens: float
    """What those that run have yet to say."""
    peak_held_tokens: float
    sent: int
    """Requests that have come."""
    head: int
    """The first of them that was never admitted."""
    preempted: int
    """Requests that wait again."""
    running: int
    decoding: int
    ended: int
    partial: int
    """The one whose prompt is computed in part; it was admitted last."""
    decode_steps: int
    next_ending: int
    """No decoding sequence ends before this decoding step."""
    steps: int
    jumps: int
    preemptions: int
    peak_running: int


class Sequences(Protocol):
    """The table of requests, in the order in which they are sent."""

    size: int

    def __getitem__(self, place: int) -> Sequence: ...


class Places(Protocol):
    """The table of places."""

    def __getitem__(self, place: int) -> Place: ...


RULES, SEQUENCE, PLACE, RUN = (
    np.dtype(list(get_type_hints(kind).items()), align=True) for kind in (Rules, Sequence, Place, Run)
)
