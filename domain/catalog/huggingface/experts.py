"""Mixtures of experts out of a config: how many, how wide, which layers have them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from domain.catalog.huggingface.dense import OFF, ON, DenseFamily, Reader, dense_attention
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.fields import MOST_LAYERS, Fields
from domain.catalog.model import Attention, DenseFeedForward, FeedForward, Layer, MixtureOfExperts

MOST_EXPERTS = 1 << 16
COUNT = ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts")
CHOSEN = (
    *("num_experts_per_tok", "num_experts_per_token", "experts_per_token"),
    *("moe_k", "moe_topk", "top_k_experts", "num_experts_per_topk"),
)
SHARED_COUNT = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")
SHARED_WIDTH = (
    "shared_expert_intermediate_size",
    "moe_shared_expert_intermediate_size",
    "shared_intermediate_size",
)

SHARED_COUNTED = (SHARED_COUNT,)
SHARED_STATED = (SHARED_WIDTH,)

SparseLayers = Callable[[Fields, int], tuple[bool, ...]]
"""Tells of each layer whether it has experts."""
Truth = Callable[[Fields], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertHabits:
    """How a family states its experts."""

    count: str = "n_routed_experts"
    chosen: str = "num_experts_per_tok"
    """The names that the family itself uses; the others are understood too."""
    width: tuple[str, ...] = ("moe_intermediate_size",)
    gated: bool = True
    shared_gate: bool = False
    expert_bias: bool = False
    router_bias: Truth = OFF.read
    required: tuple[tuple[str, ...], ...] = ()
    """Fields about shared experts, under all their names, that must be there: their defaults differ too much."""


def experts(fields: Fields, habits: ExpertHabits) -> MixtureOfExperts:
    """Read the experts of a layer."""
    count = fields.size(habits.count, *COUNT, most=MOST_EXPERTS)
    chosen = fields.size(habits.chosen, *CHOSEN, most=MOST_EXPERTS)
    if chosen > count:
        fields.refuse(
            next((name for name in CHOSEN if fields.has(name)), habits.chosen), f"at most the {count} experts"
        )
    width = fields.size(*habits.width)
    return MixtureOfExperts(
        expert_count=count,
        experts_per_token=chosen,
        intermediate_size=width,
        gated=habits.gated,
        shared_intermediate_size=(shared := shared_width(fields, width, habits.required)),
        shared_gate=habits.shared_gate and shared > 0,
        router_bias=habits.router_bias(fields),
        expert_bias=habits.expert_bias,
    )


def shared_width(fields: Fields, expert_width: int, required: tuple[tuple[str, ...], ...] = ()) -> int:
    """Width of all shared experts together: as stated, or as many as stated of an expert's width."""
    count = fields.optional_size(*SHARED_COUNT, least=0, most=MOST_EXPERTS)
    stated = fields.optional_size(*SHARED_WIDTH, least=0)
    for names in required:
        fields.demand("a whole number, or null where there are none", *names)
    if stated is not None:
        return stated
    return (count or 0) * expert_width


def noaux_bias(fields: Fields, *, default: bool) -> bool:
    """Whether the router balances by a bias per expert, told by ``topk_method``."""
    method = fields.text("topk_method")
    return method == "noaux_tc" if method else default


def all_sparse(_: Fields, layers: int) -> tuple[bool, ...]:
    """Every layer has experts."""
    return (True,) * layers


def sparse_after_first(fields: Fields, layers: int) -> tuple[bool, ...]:
    """All layers but the first few have experts, or each n-th of them; ``mlp_layer_types`` may tell each."""
    dense_first = fields.size("first_k_dense_replace", default=0, least=0, most=MOST_LAYERS)
    labels = fields.labels("mlp_layer_types", layers, ("dense", "sparse", "moe", "hash_moe"))
    if not isinstance(fields.raw("moe_layer_freq"), (list, tuple)):
        fields.demand(f"a whole number from 0 to {MOST_LAYERS}", "first_k_dense_replace", "mlp_layer_types")
    if labels is not None:
        return tuple(label != "dense" for label in labels)
    if isinstance(fields.raw("moe_layer_freq"), (list, tuple)):
        marks = fields.numbers("moe_layer_freq", layers, most=1) or (1,) * layers
        return tuple(mark == 1 for mark in marks)
    each = fields.size("moe_layer_freq", default=1, most=MOST_LAYERS)
    return tuple(index >= dense_first and index % each == 0 for index in range(layers))


def sparse_by_step(fields: Fields, layers: int) -> tuple[bool, ...]:
    """Qwen's rule: each n-th layer has experts, but for those in ``mlp_only_layers``."""
    step = fields.size("decoder_sparse_step", default=1, most=MOST_LAYERS)
    dense_only = fields.chosen_layers("mlp_only_layers", layers)
    labels = fields.labels("mlp_layer_types", layers, ("dense", "sparse"))
    if labels is not None:
        return tuple(label == "sparse" for label in labels)
    return tuple(index not in dense_only and (index + 1) % step == 0 for index in range(layers))


def feed_forwards(
    fields: Fields, sparse: tuple[bool, ...], habits: ExpertHabits, *, dense_bias: bool = False
) -> tuple[FeedForward, ...]:
    """Feed-forward half of each layer: experts where ``sparse``, else a dense layer of ``intermediate_size``."""
    mixture = experts(fields, habits) if any(sparse) else None
    thick: FeedForward | None = None
    if not all(sparse):
        width = fields.size("intermediate_size", "ffn_hidden_size")
        thick = DenseFeedForward(intermediate_size=width, gated=habits.gated, bias=dense_bias)
    else:
        fields.unused_sizes("intermediate_size")
        fields.flag("mlp_bias", default=False)
    chosen = (mixture if is_sparse else thick for is_sparse in sparse)
    return tuple(half for half in chosen if half is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertFamily:
    """The habits of a family of mixtures of experts under softmax attention."""

    body: DenseFamily
    habits: ExpertHabits = ExpertHabits()
    sparse: SparseLayers = all_sparse
    sinks: bool = False
    level: tuple[str, ...] = ()
    """Fields that may be lists of the same number for each layer."""
    mtp: tuple[str, ...] = ()
    """Names of the number of MTP modules, each like the last layer."""


def mixture(family: ExpertFamily) -> Reader:
    """Return the reader of a family."""
    return partial(read_mixture, family=family)


def read_mixture(fields: Fields, family: ExpertFamily) -> Draft:
    """Read a mixture of experts of a family."""
    width = hidden_size(fields)
    layers = fields.layer_count()
    fields.level(layers, *family.level)
    attention = replace(dense_attention(fields, family.body, width), sinks=family.sinks)
    halves = feed_forwards(
        fields, family.sparse(fields, layers), family.habits, dense_bias=family.body.biases.mlp.read(fields)
    )
    windows = family.body.windows(fields, layers)
    fields.known(*family.body.known)
    fields.only_off(*family.body.only_off)
    for name, value in family.body.fixed:
        fields.text(name, (value,))
    attentions: tuple[Attention, ...] = tuple(replace(attention, window_tokens=window) for window in windows)
    return Draft(
        family=family.body.name,
        hidden_size=width,
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=family.body.tied,
        layers=stacked(attentions, halves, norm_count=family.body.norm_count, norm_bias=family.body.norm_bias),
        final_norm_bias=family.body.norm_bias,
        output_head_bias=family.body.head_bias.read(fields),
        mtp_layer_count=mtp_layer_count(fields, *family.mtp) if family.mtp else uncounted_mtp(fields),
    )


def uncounted_mtp(fields: Fields) -> int:
    """Remark upon MTP modules whose layers are not known."""
    if modules := mtp_layer_count(fields):
        fields.remark(f"{modules} MTP module(s) may be in the checkpoint; they are not counted.")
    return 0


def stacked(
    attentions: tuple[Attention | None, ...],
    halves: tuple[FeedForward | None, ...],
    *,
    norm_count: int = 2,
    norm_bias: bool = False,
) -> tuple[Layer, ...]:
    """Put the attention and the feed-forward half of each layer together."""
    return tuple(
        Layer(attention=attention, feed_forward=half, norm_count=norm_count, norm_bias=norm_bias)
        for attention, half in zip(attentions, halves, strict=False)
    )


def mtp_layer_count(fields: Fields, *names: str) -> int:
    """Read the number of MTP modules; none where nothing is said."""
    return fields.size(*(names or ("num_nextn_predict_layers",)), default=0, least=0, most=MOST_LAYERS)


ALWAYS_BIASED: Truth = ON.read
