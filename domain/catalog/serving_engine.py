"""Serving engines: what their defaults and their memory keeping are, by version and card class."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchingLimits:
    """Default limits of one step on one class of cards."""

    card_class: Literal["large", "other"]
    """``large``: at least ``large_card_bytes`` of memory and not an excepted generation; ``other``: the rest."""
    sequence_count: int
    batched_tokens: int
    kept_free_bytes: float = 0.0
    """What the engine leaves free of a device by default; where it is not 0, the default share follows from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingEngine:
    """One release of a serving engine: defaults and memory keeping."""

    id: str
    """``vllm``, ``sglang``, ``tensorrt_llm``, ``llama_cpp``, ``ktransformers``, ``mindie``, ``vllm_ascend``."""
    name: str
    version: str
    vendors: tuple[str, ...]
    """Vendors of accelerators that it runs on."""
    excluded_generations: tuple[str, ...]
    memory_fraction: float
    """Share of the memory that the engine may fill (see ``fraction_of``)."""
    fraction_of: Literal["total", "free_after_weights"]
    """What the share is taken of; in the second case it bounds the KV cache alone."""
    activations_within_fraction: bool
    """Whether activations and reserve are paid out of the share (vLLM) or out of the rest (SGLang)."""
    limits: tuple[BatchingLimits, ...]
    large_card_bytes: float
    large_card_excluded_generations: tuple[str, ...]
    block_tokens: int
    """Tokens per KV block."""
    logits_bytes_per_entry: float
    """Peak bytes per (sequence of a step) x (vocabulary entry) while sampling."""
    workspace_bytes: float
    """Rest of the activation peak that depends on nothing we know."""
    context_bytes: float
    """Device memory outside the allocator on one accelerator."""
    parallel_context_bytes: float
    """The same when ranks communicate (tensor parallel above 1)."""
    graph_bytes: float
    """Captured graphs; outside ``memory_fraction`` where ``graphs_within_fraction`` is false."""
    graphs_within_fraction: bool
    attention_data_parallel: Literal["in_group", "separate", "none"]
    """``in_group``: attention and embedding are copied (SGLang); ``separate``: all but the routed experts (vLLM)."""
    expert_parallel: Literal["ranks", "free", "none"]
    """``ranks``: all tensor x attention-data ranks or 1 (vLLM); ``free``: any divisor of them."""
    pipeline_parallel: bool
    unequal_heads: bool
    """Whether heads may be divided unevenly over tensor ranks."""
    stage_division: Literal["last_but_one_first", "first_first"]
    """Which stages get the layers that are left over."""
    settable_stages: bool
    """Whether the layers of each stage can be set by hand."""
    groups_cache_layers: bool
    """Whether layers are grouped and padded by cache kind (vLLM's hybrid KV cache manager)."""
    default_cache_format: str
    """``auto`` is the model's 16-bit type."""
    cpu_offload: bool
    note: str
    decode_context_parallel: bool = False
    """Whether a source says that the ranks of a tensor group can share the tokens of one cache."""
    preference: int = 100
    """Which engine is taken when the caller names none: the smallest that runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedDeployment:
    """A deployment that a vendor or an engine's documentation states for a model."""

    model: str
    accelerator: str
    accelerator_count: int
    number_format: str
    layout: str
    source: str
    note: str
