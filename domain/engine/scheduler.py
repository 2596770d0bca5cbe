"""How a serving engine fills its steps: the rules that a simulation follows."""

from dataclasses import dataclass
from math import inf
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """Limits and order of one scheduler; under attention data parallelism every rank has one of its own.

    ============== ================ =============== ======================== ===============================
    engine         order            chunked_prefill reserved_output_fraction source
    ============== ================ =============== ======================== ===============================
    vLLM           mixed            yes             0                        vllm/v1/core/sched/scheduler.py
    SGLang         prefill_first    yes             0.1 to 0.7               schedule_policy.py, PrefillAdder
    TensorRT-LLM   mixed            as started      1                        GUARANTEED_NO_EVICT
    ============== ================ =============== ======================== ===============================
    """

    order: Literal["mixed", "prefill_first"]
    """``mixed``: every running sequence decodes, the rest of the step's budget goes to prompts, first come first
    served. ``prefill_first``: while a prompt waits and there is room for it, steps hold prompts alone and decoding
    pauses."""
    chunked_prefill: bool
    """Whether a prompt may be taken in pieces. Otherwise it waits for a step with room for all of it; one longer
    than an empty step is taken in pieces all the same, since it would wait for ever."""
    sequence_limit: int
    """Sequences that run at once."""
    batched_tokens: int
    """Tokens in one step, of one microbatch under a pipeline."""
    kv_capacity_tokens: float
    block_tokens: int
    """Tokens per KV block: a sequence's last block is half empty on average, so that each sequence takes
    (block - 1) / 2 tokens more than it holds."""
    reserved_output_fraction: float
    """Share of a sequence's output still to come for which room must be there when the next one is admitted.
    Below 1 the cache can run out: then the sequence admitted last loses its cache and goes back to the head of the
    queue, to be computed again with what it had already said."""
    tokens_per_step: float
    """Tokens that a decoding sequence gains per step: 1, or 1 + accepted drafts under speculation."""
    scheduled_tokens: int
    """Tokens of a step's budget that a decoding sequence takes: 1, or 1 + drafts."""
    pipeline_depth: int
    """Microbatches in flight; 1 without a pipeline."""

    def __post_init__(self) -> None:
        whole = (self.sequence_limit, self.batched_tokens, self.block_tokens, self.scheduled_tokens)
        if min(*whole, self.pipeline_depth) < 1 or not 0 < self.kv_capacity_tokens < inf:
            raise ValueError("A scheduler has room for at least one token of one sequence.")
        if not 0 <= self.reserved_output_fraction <= 1:
            raise ValueError("A fraction lies between 0 and 1.")
        if not 1 <= self.tokens_per_step <= self.scheduled_tokens:
            raise ValueError("A step yields at least one token, and no more than it computes.")
        if self.scheduled_tokens > self.batched_tokens:
            raise ValueError("One sequence fits into a step.")

    @property
    def running_limit(self) -> int:
        """Sequences that run at once, such that all of them can decode in one step of each microbatch."""
        return min(self.sequence_limit, self.batched_tokens // self.scheduled_tokens * self.pipeline_depth)

    @property
    def lost_tokens(self) -> float:
        """Tokens of cache that a sequence takes beyond those it holds, on average."""
        return (self.block_tokens - 1) / 2
