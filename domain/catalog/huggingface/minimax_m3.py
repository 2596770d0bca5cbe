"""MiniMax M3: dense layers first, then experts under attention that an index of blocks makes sparse."""

from dataclasses import replace

from domain.catalog.huggingface.attention import MOST_HEADS, self_attention
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.experts import SHARED_WIDTH, ExpertHabits, experts, stacked, uncounted_mtp
from domain.catalog.huggingface.fields import Fields
from domain.catalog.model import DenseFeedForward, SparseIndexer

HEAD_DIM = 128
SPARSE = "minimax_m3_sparse"


def read_minimax_m3(fields: Fields) -> Draft:
    """Read the language model of a MiniMax M3."""
    width = hidden_size(fields)
    layers = fields.layer_count()
    norm = fields.text("qk_norm_type", ("per_layer", "per_head"), "per_head")
    normed = fields.flag("use_qk_norm", default=True)
    fields.only_off("attention_output_gate")
    attention = self_attention(fields, width, query_key_norm=norm if normed else "none", default_head_dim=HEAD_DIM)
    index, indexed = _index(fields, layers)
    mixture = experts(
        fields,
        ExpertHabits(
            count="num_local_experts",
            width=("intermediate_size",),
            router_bias=lambda told: told.flag("use_routing_bias", default=True),
            required=(("shared_intermediate_size", *SHARED_WIDTH),),
        ),
    )
    sparse = _sparse(fields, layers)
    dense = DenseFeedForward(intermediate_size=fields.size("dense_intermediate_size"), gated=True)
    fields.known("use_gemma_norm", "num_mtp_modules", "use_mtp", "mtp_transformer_layers")
    return Draft(
        family="MiniMax",
        hidden_size=width,
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=False,
        layers=stacked(
            tuple(replace(attention, indexer=index) if is_indexed else attention for is_indexed in indexed),
            tuple(mixture if is_sparse else dense for is_sparse in sparse),
        ),
        mtp_layer_count=uncounted_mtp(fields),
    )


def _sparse(fields: Fields, layers: int) -> tuple[bool, ...]:
    """Which layers have experts: as listed, all where nothing is."""
    marks = fields.numbers("moe_layer_freq", layers, most=1)
    labels = fields.labels("mlp_layer_types", layers, ("dense", "sparse"))
    if labels is not None:
        return tuple(label == "sparse" for label in labels)
    return tuple(mark == 1 for mark in marks or (1,) * layers)


def _index(fields: Fields, layers: int) -> tuple[SparseIndexer | None, tuple[bool, ...]]:
    """Read the index and which layers have one, as the checkpoint or as newer libraries write it."""
    part = fields.inside("sparse_attention_config")
    labels = fields.labels("layer_types", layers, ("full_attention", SPARSE))
    if part is None:
        sizes = ("index_n_heads", "index_head_dim", "index_topk_blocks", "index_block_size")
        fields.unused_sizes(*sizes, "index_local_blocks")
        indexed = tuple(label == SPARSE for label in labels or ("",) * layers)
        return (_indexer(fields, *sizes) if any(indexed) else None), indexed
    marks = part.numbers("sparse_attention_freq", layers, most=1)
    index = _indexer(part, "sparse_num_index_heads", "sparse_index_dim", "sparse_topk_blocks", "sparse_block_size")
    used = part.flag("use_sparse_attention", default=True)
    part.known("sparse_disable_index_value", "sparse_score_type", "sparse_init_block", "sparse_local_block")
    part.close()
    if used and marks is None:
        part.refuse("sparse_attention_freq", f"a list of {layers} out of 0 (full), 1 (sparse)")
    return index, tuple(used and mark == 1 for mark in marks or (0,) * layers)


def _indexer(part: Fields, heads: str, width: str, blocks: str, block_tokens: str) -> SparseIndexer:
    return SparseIndexer(
        head_count=part.size(heads, most=MOST_HEADS),
        head_dim=part.size(width),
        selected_token_count=part.size(blocks) * part.size(block_tokens),
    )
