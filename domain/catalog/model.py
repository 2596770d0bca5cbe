"""Models: the architecture, layer by layer, from which parameters and caches follow."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseIndexer:
    """DSA: a small index of every token picks the ``selected_token_count`` tokens that attention reads."""

    head_count: int
    head_dim: int
    selected_token_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfAttention:
    """Softmax attention with ``kv_head_count`` key/value heads (MHA, GQA, MQA), full or windowed."""

    head_count: int
    kv_head_count: int
    head_dim: int
    value_head_dim: int
    """Differs from ``head_dim`` in a few models (MiMo V2); the cache holds both."""
    window_tokens: int | None = None
    """Tokens that a layer looks back on; None is the whole context."""
    qkv_bias: bool = False
    output_bias: bool = False
    query_key_norm: str = "none"
    """``none``, ``per_head`` (head_dim weights each) or ``per_layer`` (all heads' width)."""
    output_gate: bool = False
    """The query projection is twice as wide; the second half gates the output (Qwen3-Next)."""
    sinks: bool = False
    key_equals_value: bool = False
    """One projection serves as key and value (Gemma 4 global layers); the cache holds both: only keys are rotated."""
    reuses_cache: bool = False
    """The layer reads the keys and values of an earlier layer, and has no projections of its own for them."""
    indexer: SparseIndexer | None = None
    """Picks the blocks of tokens that the layer reads (MiniMax M3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention: one compressed vector per token and layer, for all heads."""

    head_count: int
    query_lora_rank: int | None
    kv_lora_rank: int
    nope_head_dim: int
    rope_head_dim: int
    value_head_dim: int
    indexer: SparseIndexer | None = None
    output_gate: bool = False
    """A projection as wide as all values gates the output (Kimi K3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedAttention:
    """DeepSeek V4: one shared latent head, whole for ``window_tokens`` and compressed for all tokens before."""

    head_count: int
    head_dim: int
    rope_head_dim: int
    query_lora_rank: int
    output_lora_rank: int
    output_group_count: int
    window_tokens: int
    compression: int
    """Tokens per cached compressed entry; 0 where the layer has only its window."""
    indexer: SparseIndexer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearAttention:
    """A recurrent layer: a constant state per sequence instead of a cache."""

    kind: str
    """``gated_deltanet``, ``mamba2``, ``lightning`` or ``kda``."""
    key_head_count: int
    value_head_count: int
    key_head_dim: int
    """For ``mamba2`` the state size."""
    value_head_dim: int
    convolution_width: int
    group_count: int = 1
    """Groups of B and C in ``mamba2``."""
    state_element_bytes: float = 4.0
    full_rank_gate: bool = False
    """The output gate of ``kda`` is one projection instead of two of low rank (Kimi K3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseFeedForward:
    """A feed-forward layer that every token passes."""

    intermediate_size: int
    gated: bool
    bias: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureOfExperts:
    """A feed-forward layer of which each token passes ``experts_per_token`` experts, and the shared ones."""

    expert_count: int
    experts_per_token: int
    intermediate_size: int
    gated: bool
    shared_intermediate_size: int = 0
    """All shared experts together; 0 where there are none."""
    shared_gate: bool = False
    router_bias: bool = False
    expert_bias: bool = False
    latent_size: int | None = None
    """Width in which the experts work when it is not the model's (Nemotron 3 Super, Kimi K3)."""
    latent_norm: bool = False
    """A norm of ``latent_size`` stands behind the experts."""
    residual_intermediate_size: int = 0
    """A dense layer beside the experts (Grok 2, Gemma 4); 0 where there is none."""
    router_scales: bool = False
    """The router scales its input, and each expert's output, by weights of its own (Gemma 4)."""


Attention = SelfAttention | LatentAttention | CompressedAttention | LinearAttention
FeedForward = DenseFeedForward | MixtureOfExperts


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One kind of layer; a part that is absent is None."""

    attention: Attention | None
    feed_forward: FeedForward | None
    norm_count: int
    """Norms of the model's width in this layer."""
    norm_bias: bool = False
    hyper_connection_count: int = 0
    """Residual streams that the layer mixes (DeepSeek V4); 0 where there is one stream and nothing to mix."""
    per_layer_input_size: int = 0
    """Width of the input that each layer has from a table of its own (Gemma 4 E); 0 where there is none."""
    scale_count: int = 0
    """Single numbers that scale the layer's output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tower:
    """An encoder beside the language model (vision, audio), loaded and replicated with it."""

    name: str
    parameter_count: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWeights:
    """How the published checkpoint stores its weights."""

    number_format: str
    """Id of the format of most of it (``fp8``, ``bf16``, ``mxfp4``)."""
    by_component: tuple[tuple[str, str], ...] = ()
    """Components stored otherwise, as (component, format)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A language model: layers in order, tables around them, and how it is published."""

    id: str
    family: str
    hidden_size: int
    vocabulary_size: int
    tied_embeddings: bool
    layers: tuple[Layer, ...]
    """The distinct kinds."""
    pattern: tuple[int, ...]
    """For each layer, first to last, the index of its kind in ``layers``."""
    final_norm_bias: bool = False
    final_norm_count: int = 1
    """Norms, and other vectors of the model's width, behind the last layer."""
    learned_position_count: int = 0
    output_head_bias: bool = False
    embedding_norm: bool = False
    """A norm, with a bias where ``final_norm_bias``, stands between the embedding and the first layer."""
    per_layer_vocabulary_size: int = 0
    """Rows of the table behind ``per_layer_input_size``."""
    mtp_layer_count: int = 0
    """Multi-token-prediction modules in the checkpoint; loaded only for speculation."""
    mtp_kind: int | None = None
    """Index of their kind of layer; None is the kind of the last layer."""
    towers: tuple[Tower, ...] = ()
    max_position_tokens: int | None = None
    stored: StoredWeights
    licence: str = ""
    release_date: str = ""
    confidence: str = "high"
    note: str = ""

    @property
    def layer_count(self) -> int:
        """Layers of the main stack."""
        return len(self.pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """Another published checkpoint of an architecture that the catalog has."""

    id: str
    model: str
    """Id of the model whose architecture it shares."""
    stored: StoredWeights | None = None
    """How this checkpoint is stored, where that differs."""
    note: str = ""
