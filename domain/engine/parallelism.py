"""Layouts: how a model is divided over ranks, and which divisions are legal."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from typing import NamedTuple

from domain.catalog.model import (
    Attention,
    CompressedAttention,
    DenseFeedForward,
    Layer,
    LinearAttention,
    MixtureOfExperts,
    Model,
    SelfAttention,
)
from domain.catalog.serving_engine import ServingEngine
from domain.engine.reason import Reason

BISECTIONS = 12
"""Halvings of the search for the lightest fullest stage: finer than a thousandth of a layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How many ranks divide what; ranks of one replica = tensor x attention data x pipeline."""

    tensor_parallel: int
    """Ranks that share one sequence's attention."""
    pipeline_parallel: int
    expert_parallel: int
    """Ranks over which the routed experts are spread; spans tensor x attention data ranks; 1 is none."""
    attention_data_parallel: int
    decode_context_parallel: int
    replicas: int
    stage_layer_counts: tuple[int, ...]
    """Layers of each pipeline stage, first to last."""

    @property
    def rank_count(self) -> int:
        """Devices that the layout occupies."""
        return self.tensor_parallel * self.attention_data_parallel * self.pipeline_parallel * self.replicas


class Degrees(NamedTuple):
    """A layout of one replica as a row of a table: cheap to make by the thousand."""

    tensor: int
    pipeline: int
    attention_data: int
    expert: int
    decode_context: int
    stage_layer_counts: tuple[int, ...]
    is_hand_set: bool = False
    """Whether the stages are not the engine's own division."""

    @property
    def rank_count(self) -> int:
        """Devices that one replica occupies."""
        return self.tensor * self.pipeline * self.attention_data

    def layout(self, replicas: int) -> Layout:
        """Return the layout of ``replicas`` such replicas."""
        return Layout(
            tensor_parallel=self.tensor,
            pipeline_parallel=self.pipeline,
            expert_parallel=self.expert,
            attention_data_parallel=self.attention_data,
            decode_context_parallel=self.decode_context,
            replicas=replicas,
            stage_layer_counts=self.stage_layer_counts,
        )


def division_obstacle(model: Model, tensor_parallel: int, engine: ServingEngine) -> Reason | None:
    """Return why the model cannot be divided over ``tensor_parallel`` ranks, or None when it can.

    Query heads must divide evenly; key/value heads divide, or are copied to equal groups of ranks; feed-forward
    widths divide. Source: the checks that vLLM and SGLang make before they load (engine facts).
    """
    if engine.unequal_heads:
        return None
    for layer in model.layers:
        obstacle = _attention_obstacle(layer, tensor_parallel) or _width_obstacle(layer, tensor_parallel)
        if obstacle is not None:
            return obstacle
    return None


def _attention_obstacle(layer: Layer, ranks: int) -> Reason | None:
    attention = layer.attention
    if attention is None:
        return None
    heads = attention.value_head_count if isinstance(attention, LinearAttention) else attention.head_count
    if heads % ranks:
        return Reason(code="HEADS_NOT_DIVISIBLE", sentence=f"{heads} attention heads do not divide by {ranks}.")
    groups = kv_head_count(layer)
    if groups % ranks and (ranks % groups or not _copies_heads(attention)):
        return Reason(
            code="KV_HEADS_NOT_DIVISIBLE",
            sentence=f"{groups} key/value heads neither divide by {ranks} nor are copied evenly to {ranks} ranks.",
        )
    return None


def _copies_heads(attention: Attention) -> bool:
    """Whether engines copy key heads to several ranks when they run out: not those of delta-rule layers.

    Source: vLLM and SGLang, Qwen3-Next: key heads are divided by the tensor ranks without remainder or copy.
    """
    return not isinstance(attention, LinearAttention) or attention.kind == "mamba2"


def kv_head_count(layer: Layer) -> int:
    """Heads among which keys and values (or recurrent states) divide; 1 for a latent."""
    match layer.attention:
        case SelfAttention(kv_head_count=count):
            return count
        case LinearAttention(key_head_count=count):
            return count
        case CompressedAttention() | _:
            return 1


def _width_obstacle(layer: Layer, ranks: int) -> Reason | None:
    match layer.feed_forward:
        case DenseFeedForward(intermediate_size=width) if width % ranks:
            return Reason(
                code="WIDTH_NOT_DIVISIBLE",
                sentence=f"A feed-forward width of {width} does not divide by {ranks}.",
            )
        case MixtureOfExperts(shared_intermediate_size=width) if width % ranks:
            return Reason(
                code="WIDTH_NOT_DIVISIBLE", sentence=f"A shared expert of {width} does not divide by {ranks}."
            )
        case _:
            return None


def divides_experts(model: Model, ranks: int, expert_parallel: int) -> bool:
    """Whether the routed experts divide evenly: whole over ``expert_parallel`` ranks, and each over what is left."""
    for layer in model.layers:
        match layer.feed_forward:
            case MixtureOfExperts(intermediate_size=width, expert_count=count):
                if count % expert_parallel or width % (ranks // expert_parallel):
                    return False
            case _:
                continue
    return True


def _expert_choices(model: Model, tensor: int, attention_data: int, engine: ServingEngine) -> tuple[int, ...]:
    """Ranks over which the engine can spread experts, what it does by itself first."""
    ranks = tensor * attention_data
    if engine.expert_parallel == "none" or not any(
        isinstance(layer.feed_forward, MixtureOfExperts) for layer in model.layers
    ):
        return (1,)
    return (ranks, 1) if attention_data > 1 else (1, ranks)


def expert_obstacle(model: Model, tensor: int, attention_data: int, engine: ServingEngine) -> Reason | None:
    """Return why the routed experts cannot be spread over the ranks, neither by width nor by expert."""
    ranks = tensor * attention_data
    choices = _expert_choices(model, tensor, attention_data, engine)
    if any(divides_experts(model, ranks, choice) for choice in choices):
        return None
    kept = " and are not spread one by one" if choices == (1,) else " nor by expert"
    sentence = f"The widths of the routed experts do not divide over {ranks} ranks{kept} with {engine.name}."
    return Reason(code="EXPERTS_NOT_DIVISIBLE", sentence=sentence)


def expert_parallel_default(
    model: Model, tensor_parallel: int, attention_data_parallel: int, engine: ServingEngine
) -> int:
    """Ranks over which an engine spreads the experts when nobody says: all of them where it must or does, else 1."""
    ranks = tensor_parallel * attention_data_parallel
    choices = _expert_choices(model, tensor_parallel, attention_data_parallel, engine)
    return next((choice for choice in choices if divides_experts(model, ranks, choice)), 1)


@cache
def _even_stages(layer_count: int, stage_count: int, division: str) -> tuple[int, ...]:
    whole, rest = divmod(layer_count, stage_count)
    stages = [whole] * stage_count
    for extra in range(rest):
        stages[stage_count - 2 - extra if division == "last_but_one_first" else extra] += 1
    return tuple(stages)


def default_stages(layer_count: int, stage_count: int, engine: ServingEngine) -> tuple[int, ...]:
    """Layers of each stage as the engine divides them by itself.

    Source: vLLM, ``get_pp_indices``: what is left over goes to the stages before the last, from the back.
    """
    return _even_stages(layer_count, stage_count, engine.stage_division)


def balanced_stages(
    layer_loads: Sequence[float], stage_count: int, *, first_extra: float, last_extra: float
) -> tuple[int, ...]:
    """Layers of each stage such that the fullest stage is as light as a contiguous division allows.

    ``layer_loads`` [bytes] first to last; the extras stand in the first (embedding) and last (output head) stage.
    """
    sums = [0.0, *accumulate(layer_loads)]
    sums = [*(value + first_extra for value in sums[:-1]), sums[-1] + first_extra + last_extra]
    sums[0] = 0.0
    low = max(sums[-1] / stage_count, *layer_loads)
    high = low + max(layer_loads) + first_extra + last_extra
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if len(_filled(sums, middle)) <= stage_count:
            high = middle
        else:
            low = middle
    return _as_counts(_filled(sums, high), stage_count)


def _filled(sums: Sequence[float], capacity: float) -> list[int]:
    """Fill stage after stage up to ``capacity``; return where each ends."""
    ends: list[int] = []
    start, last = 0, len(sums) - 1
    while start < last:
        end = max(bisect_right(sums, sums[start] + capacity, start + 1, last + 1) - 1, start + 1)
        ends.append(end)
        start = end
    return ends


def _as_counts(ends: Sequence[int], stage_count: int) -> tuple[int, ...]:
    counts = [end - start for start, end in zip((0, *ends), ends, strict=False)]
    while len(counts) < stage_count:
        fullest = counts.index(max(counts))
        half = counts[fullest] // 2
        counts[fullest : fullest + 1] = [counts[fullest] - half, half]
    return tuple(counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What one pipeline stage holds: how many layers of each kind, and the tables at the ends."""

    layer_counts: tuple[int, ...]
    """Layers by kind, as in ``Model.layers``."""
    is_first: bool
    is_last: bool


def distinct_stages(model: Model, stage_layer_counts: tuple[int, ...]) -> tuple[Stage, ...]:
    """Return each different stage once, in order: equal stages need equal memory."""
    return _distinct_stages(model.pattern, len(model.layers), stage_layer_counts)


@lru_cache(maxsize=16_384)
def _distinct_stages(
    pattern: tuple[int, ...], kind_count: int, stage_layer_counts: tuple[int, ...]
) -> tuple[Stage, ...]:
    stages: dict[Stage, None] = {}
    start = 0
    for place, count in enumerate(stage_layer_counts):
        layers = pattern[start : start + count]
        start += count
        stage = Stage(
            layer_counts=tuple(layers.count(kind) for kind in range(kind_count)),
            is_first=place == 0,
            is_last=place == len(stage_layer_counts) - 1,
        )
        stages.setdefault(stage)
    return tuple(stages)
