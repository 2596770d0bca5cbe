"""Serving in steady state, in closed form: what requests see when a load meets the steps of an engine."""

from dataclasses import dataclass
from typing import Generic, cast

import numpy as np

from domain.engine.rates import Factors, RateKey, by_engine, group_factor
from domain.quantity import Number, larger, smaller

BUDGET_SHARE = 0.98
"""Share of the token budget that prefill and decode can fill together before prompts queue."""
SMALLEST_CHUNK_TOKENS = 256.0
BUSIEST = 50.0
"""Prefill steps per decode step beyond which a case is prefill alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingCase(Generic[Number]):
    """One attention group of one replica under load."""

    concurrency: Number
    """Requests in the system, per attention group of one replica."""
    input_tokens: Number
    """Prompt tokens that are not in the prefix cache."""
    output_tokens: Number
    sequence_limit: Number
    token_limit: Number
    cache_sequences: Number
    """Sequences whose cache fits at their full length."""
    stages: Number
    groups: Number
    """Attention groups of all replicas together."""
    tokens_per_step: Number
    """Tokens that a sequence gains in one step: 1, or more with accepted drafts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyBatch(Generic[Number]):
    """What runs together; it follows from limits alone, not from speeds."""

    decode_sequences: Number
    """Sequences that decode together in one microbatch of one attention group."""
    running_sequences: Number
    """Sequences that decode in all stages of one attention group."""
    chunk_tokens: Number
    """Prefill tokens of a step that prefills."""
    prefill_share: Number
    """Steps that prefill, per step."""
    waiting_sequences: Number
    """Requests that the limits keep out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served(Generic[Number]):
    """What a request sees on average, and what the system delivers."""

    ttft_s: Number
    tpot_s: Number
    end_to_end_s: Number
    output_tokens_per_s: Number
    prefill_tokens_per_s: Number


def steady_batch(case: ServingCase[Number]) -> SteadyBatch[Number]:
    r"""Return the batch that runs in steady state.

    .. math:: B = \min(N, n_{max}, n_{KV}, 0.98\,M / (1 + I/O))

    N ``concurrency``, n_max ``sequence_limit``, n_KV ``cache_sequences``, M ``token_limit``: each decoding sequence
    brings I/O prompt tokens a step with it. Source: Little 1961, doi:10.1287/opre.9.3.383; engine facts.
    """
    per_step = case.input_tokens / case.output_tokens
    limit = smaller(smaller(case.concurrency, case.sequence_limit), case.cache_sequences)
    running = smaller(limit, larger(BUDGET_SHARE * case.token_limit / (1.0 + per_step), limit * 0.0 + 1.0))
    room = larger(case.token_limit - running, running * 0.0 + SMALLEST_CHUNK_TOKENS)
    chunk = smaller(larger(case.input_tokens, running * 0.0 + 1.0), room)
    share = running * per_step / chunk * case.tokens_per_step
    return SteadyBatch(
        decode_sequences=running / case.stages,
        running_sequences=running,
        chunk_tokens=chunk,
        prefill_share=smaller(share, share * 0.0 + BUSIEST),
        waiting_sequences=larger(case.concurrency - running, running * 0.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduling(Generic[Number]):
    """How an engine orders prefill and decode, as measurements show it."""

    prefill_factor: Number
    """How much of a prefill's time decoding sequences wait for."""
    first_token_s: Number
    """From the arrival to the engine and from the engine to the client."""
    own_prefills: Number
    """Times its own prefill that a request waits for its first token."""
    others_prefills: Number
    """Share of the others' prefills that it waits for."""
    queueing: Number
    """Share of a turn-over of the batch that a request outside the limits waits for."""
    first_token_factor: Number


def scheduling(factors: Factors[Number], key: RateKey) -> Scheduling[Number]:
    """Return the calibrated behaviour of an engine."""
    return Scheduling(
        prefill_factor=by_engine(factors, "prefill_factor", key),
        first_token_s=by_engine(factors, "first_token_s", key),
        own_prefills=by_engine(factors, "own_prefills", key),
        others_prefills=by_engine(factors, "others_prefills", key),
        queueing=factors.value("queueing"),
        first_token_factor=group_factor(factors, key, "first_token"),
    )


def served(
    case: ServingCase[Number],
    batch: SteadyBatch[Number],
    decode_step_s: Number,
    mixed_step_s: Number,
    order: Scheduling[Number],
) -> Served[Number]:
    """Return what a load sees, from the time of a step that decodes and of one that prefills a chunk beside it."""
    prefill_s = (mixed_step_s - decode_step_s) * order.prefill_factor
    turn_s = decode_step_s + batch.prefill_share * prefill_s / case.stages
    tpot_s = turn_s / case.tokens_per_step
    chunks = larger(case.input_tokens / batch.chunk_tokens, tpot_s * 0.0 + 1.0)
    whole_prefill_s = chunks * mixed_step_s
    others = larger(case.concurrency - 1.0, tpot_s * 0.0)
    seen_s = order.first_token_s + whole_prefill_s * (order.own_prefills + order.others_prefills * others)
    queue_s = batch.waiting_sequences / batch.running_sequences * tpot_s * case.output_tokens * order.queueing
    ttft_s = seen_s * order.first_token_factor + queue_s
    decode_s = larger(case.output_tokens - 1.0, tpot_s * 0.0) * tpot_s
    end_to_end_s = ttft_s + decode_s
    by_turn = batch.running_sequences * case.groups / tpot_s
    by_request = case.concurrency * case.groups * case.output_tokens / end_to_end_s
    return Served(
        ttft_s=ttft_s,
        tpot_s=tpot_s,
        end_to_end_s=end_to_end_s,
        output_tokens_per_s=smaller(by_turn, by_request),
        prefill_tokens_per_s=case.input_tokens / whole_prefill_s * case.groups,
    )


def saturates(batch: SteadyBatch[Number]) -> Number:
    """1 where requests wait outside the limits, else 0."""
    return cast("Number", np.where(batch.waiting_sequences > 0.0, 1.0, 0.0))
