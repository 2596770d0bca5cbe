"""What may be asked of the engine and what it answers: requests, deployments, verdicts with their parts."""

from dataclasses import dataclass
from typing import Literal

from domain.engine.parallelism import Layout
from domain.engine.precision import Policy, Way
from domain.engine.reason import Reason

Verdict = Literal["fits", "marginal", "does_not_fit", "impossible"]
"""``impossible``: no arithmetic or layout exists. A blank of the catalog is named in the answer, with what stood in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The sequences that must be held at once."""

    input_tokens: int = 4096
    output_tokens: int = 1024
    concurrency: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """Fixed hardware: does it hold the model, and how far off is it? None means: as the engine would choose."""

    model: str
    """Id in the catalog; the name to show when ``config_json`` is given."""
    config_json: str | None = None
    """A Hugging Face config.json of a model that the catalog does not have."""
    accelerator: str
    accelerator_count: int
    tensor_parallel: int | None = None
    pipeline_parallel: int | None = None
    expert_parallel: int | None = None
    attention_data_parallel: int | None = None
    decode_context_parallel: int | None = None
    replicas: int | None = None
    weight_format: str | None = None
    kv_cache_format: str | None = None
    engine: str | None = None
    engine_version: str | None = None
    policy: Policy = "allow_8bit"
    load: Load = Load()
    memory_fraction: float | None = None
    speculative_draft_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRequest:
    """What is the smallest deployment that holds the model, on each accelerator?"""

    model: str
    config_json: str | None = None
    accelerators: tuple[str, ...] = ()
    """Ids to consider; empty is the whole catalog."""
    weight_format: str | None = None
    kv_cache_format: str | None = None
    engine: str | None = None
    engine_version: str | None = None
    policy: Policy = "allow_8bit"
    load: Load = Load()
    max_accelerator_count: int = 128
    rank_by: Literal["cost", "count"] = "cost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes on one device of the fullest pipeline stage, by part."""

    weights_bytes: float
    weights_by_component_bytes: tuple[tuple[str, float], ...]
    kv_cache_bytes: float
    """For the asked load."""
    activations_bytes: float
    reserve_bytes: float
    """Context, communication buffers, and graphs where the engine counts them inside its share."""
    usable_bytes: float
    usable_kind: str
    """``measured`` where a runtime reported it, ``derived`` where it follows from what a like device reports or from a
    documented limit, ``assumed`` where it is the nominal figure."""
    memory_fraction: float
    budget_bytes: float
    """What the engine may fill."""
    headroom_bytes: float
    """Budget less everything above; negative is the shortfall."""
    kv_room_bytes: float
    """Budget less weights, activations and reserve: what the cache can have."""
    kv_capacity_tokens: float
    """Tokens that fit in the whole deployment, at the asked sequence length."""
    sequence_capacity: float
    """Sequences of the asked length that fit in the whole deployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Hardware, layout and precision together, judged."""

    accelerator: str
    accelerator_count: int
    device_count: int
    """Ranks: accelerators x devices per card."""
    node: str | None
    node_count: float | None
    """May be a fraction where the count is not a whole number of nodes."""
    layout: Layout
    way: Way
    kv_cache_format: str
    engine: str
    """``id@version``."""
    verdict: Verdict
    memory: Memory
    cost_usd_per_hour: float | None
    power_w: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRecipe:
    """What a vendor or an engine's documentation deploys, and how it compares."""

    accelerator: str
    accelerator_count: int
    number_format: str
    layout: str
    source: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckAnswer:
    """Answer to a `CheckRequest`."""

    model: str
    verdict: Verdict
    sentence: str
    """The answer in one sentence, with its figures."""
    deployment: Deployment | None
    """None when the verdict is ``impossible``."""
    reasons: tuple[Reason, ...]
    smaller_or_larger: tuple[Deployment, ...]
    """Unless it plainly fits: the smallest deployments of the same accelerator that do, at every precision."""
    published: tuple[PublishedRecipe, ...]
    statements: tuple[str, ...]
    """What was assumed and chosen, and what was not judged."""
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The answer for one accelerator at one precision."""

    smallest_by_memory: Deployment
    smallest_deployable: Deployment | None
    recommended: Deployment | None
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """An accelerator, or a format on it, that cannot do it."""

    accelerator: str
    number_format: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeAnswer:
    """Answer to a `SizeRequest`."""

    model: str
    sentence: str
    candidates: tuple[Candidate, ...]
    """With a price, ranked as asked."""
    unpriced: tuple[Candidate, ...]
    """Without a price, by count; neither last nor free."""
    rejections: tuple[Rejection, ...]
    published: tuple[PublishedRecipe, ...]
    statements: tuple[str, ...]
    facts: tuple[str, ...]
