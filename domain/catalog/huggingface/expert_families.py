"""The families of mixtures of experts under softmax attention, each by the habits in which it differs."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from domain.catalog.huggingface.attention import upper_layers_windowed
from domain.catalog.huggingface.dense import (
    ATTENTION_BIAS,
    LLAMA,
    LLAMA_BIASES,
    ON,
    Biases,
    DenseFamily,
    Reader,
    all_windowed,
    by,
    each_full,
)
from domain.catalog.huggingface.dense_families import ALL_WITH_USE_BIAS, DEFAULT_ATTENTION_BIAS, EXAONE4, HUNYUAN
from domain.catalog.huggingface.experts import (
    ALWAYS_BIASED,
    SHARED_COUNT,
    SHARED_COUNTED,
    SHARED_STATED,
    ExpertFamily,
    ExpertHabits,
    mixture,
    noaux_bias,
    sparse_after_first,
    sparse_by_step,
)
from domain.catalog.huggingface.fields import MOST_LAYERS, Fields

EXPERT_IS_INTERMEDIATE = ("intermediate_size",)
NEXTN = ("num_nextn_predict_layers",)


def sparse_between(fields: Fields, layers: int) -> tuple[bool, ...]:
    """ERNIE's rule: each n-th layer from a first to a last one has experts."""
    first = fields.size("moe_layer_start_index", default=1, least=0, most=MOST_LAYERS)
    last = fields.optional_size("moe_layer_end_index", least=-1, most=MOST_LAYERS)
    each = fields.size("moe_layer_interval", default=1, most=MOST_LAYERS)
    labels = fields.labels("mlp_layer_types", layers, ("dense", "sparse"))
    if labels is not None:
        return tuple(label == "sparse" for label in labels)
    end = layers - 1 if last in (None, -1) else last
    return tuple(first <= index <= (end or 0) and (index + 1) % each == 0 for index in range(layers))


QWEN2_MOE = ExpertFamily(
    body=DenseFamily(name="Qwen2", biases=Biases(qkv=by("qkv_bias", default=True)), windows=upper_layers_windowed),
    habits=ExpertHabits(count="num_experts", shared_gate=True, required=SHARED_STATED),
    sparse=sparse_by_step,
)
QWEN3_MOE = ExpertFamily(
    body=DenseFamily(name="Qwen3", biases=ATTENTION_BIAS, query_key_norm="per_head", windows=upper_layers_windowed),
    habits=ExpertHabits(count="num_experts"),
    sparse=sparse_by_step,
)
MIXTRAL = ExpertFamily(
    body=DenseFamily(name="Mixtral", windows=all_windowed, only_off=("attention_bias",)),
    habits=ExpertHabits(count="num_local_experts", width=EXPERT_IS_INTERMEDIATE),
)
GPT_OSS = ExpertFamily(
    body=DenseFamily(
        name="gpt-oss",
        biases=Biases(qkv=DEFAULT_ATTENTION_BIAS, output=DEFAULT_ATTENTION_BIAS),
        head_dim=64,
        windows=partial(each_full, every=2),
    ),
    habits=ExpertHabits(
        count="num_local_experts", width=EXPERT_IS_INTERMEDIATE, expert_bias=True, router_bias=ALWAYS_BIASED
    ),
    sinks=True,
)
GLM4_MOE = ExpertFamily(
    body=DenseFamily(
        name="GLM",
        biases=Biases(qkv=by("attention_bias")),
        query_key_norm="per_head",
        query_key_norm_switch=by("use_qk_norm"),
    ),
    habits=ExpertHabits(router_bias=ALWAYS_BIASED, required=SHARED_COUNTED),
    sparse=sparse_after_first,
    mtp=NEXTN,
)
PHIMOE = ExpertFamily(
    body=DenseFamily(
        name="Phi",
        biases=ATTENTION_BIAS,
        norm_bias=True,
        head_bias=by("lm_head_bias"),
        windows=all_windowed,
        known=("input_jitter_noise",),
    ),
    habits=ExpertHabits(count="num_local_experts", width=EXPERT_IS_INTERMEDIATE),
)
OLMOE = ExpertFamily(
    body=DenseFamily(name="OLMoE", biases=ATTENTION_BIAS, query_key_norm="per_layer", known=("clip_qkv",)),
    habits=ExpertHabits(count="num_experts", width=EXPERT_IS_INTERMEDIATE),
)
GRANITE_MOE = ExpertFamily(
    body=replace(LLAMA, name="Granite"),
    habits=ExpertHabits(count="num_local_experts", width=EXPERT_IS_INTERMEDIATE),
)
ERNIE_MOE = ExpertFamily(
    body=DenseFamily(
        name="ERNIE 4.5",
        tied=True,
        biases=ALL_WITH_USE_BIAS,
        known=("moe_capacity", "moe_gate", "moe_norm_min", "moe_use_aux_free", "moe_aux_loss_lambda", "moe_group"),
    ),
    habits=ExpertHabits(
        count="moe_num_experts",
        chosen="moe_k",
        router_bias=ALWAYS_BIASED,
        required=(("moe_num_shared_experts", *SHARED_COUNT),),
    ),
    sparse=sparse_between,
)
DOTS = ExpertFamily(
    body=DenseFamily(
        name="dots",
        biases=ATTENTION_BIAS,
        query_key_norm="per_head",
        windows=upper_layers_windowed,
    ),
    habits=ExpertHabits(router_bias=partial(noaux_bias, default=True)),
    sparse=sparse_after_first,
)
EXAONE_MOE = ExpertFamily(
    body=EXAONE4,
    habits=ExpertHabits(count="num_experts", router_bias=ALWAYS_BIASED),
    sparse=sparse_after_first,
)
SOLAR_OPEN = ExpertFamily(
    body=DenseFamily(
        name="Solar",
        head_dim=128,
        biases=Biases(qkv=by("attention_bias")),
        only_off=("use_qk_norm", "first_k_dense_replace"),
    ),
    habits=ExpertHabits(router_bias=ALWAYS_BIASED, required=SHARED_COUNTED),
)
HUNYUAN_MOE = ExpertFamily(
    body=replace(
        HUNYUAN,
        known=("moe_drop_tokens", "use_mixed_mlp_moe", "cla_share_factor", "org_vocab_size", "dense_list"),
        only_off=("use_cla", "use_mla", "mlp_bias", "moe_layer_num_skipped"),
        fixed=(("norm_type", "rms"),),
    ),
    habits=ExpertHabits(count="num_experts", chosen="moe_topk"),
    level=("moe_topk", "moe_intermediate_size", "num_shared_expert"),
)
HUNYUAN_V3 = ExpertFamily(
    body=DenseFamily(
        name="Hunyuan",
        biases=LLAMA_BIASES,
        query_key_norm="per_head",
        query_key_norm_switch=ON,
        known=("qk_norm",),
    ),
    habits=ExpertHabits(
        count="num_experts",
        width=("moe_intermediate_size", "expert_hidden_dim"),
        router_bias=by("moe_router_enable_expert_bias", default=True).read,
    ),
    sparse=sparse_after_first,
)

DEEPSEEK_MOE = ExpertFamily(body=replace(LLAMA, name="DeepSeek"), sparse=sparse_after_first)
LING = ExpertFamily(
    body=DenseFamily(
        name="Ling",
        biases=Biases(qkv=by("use_qkv_bias"), output=by("use_bias")),
        query_key_norm="per_head",
        query_key_norm_switch=by("use_qk_norm"),
        known=("norm_softmax", "moe_router_enable_shared_expert", "use_rmsnorm", "router_dtype"),
        only_off=("norm_head",),
    ),
    habits=ExpertHabits(count="num_experts", router_bias=by("moe_router_enable_expert_bias").read),
    sparse=sparse_after_first,
)

EXPERT_READERS: Mapping[str, Reader] = {
    "qwen2_moe": mixture(QWEN2_MOE),
    "qwen3_moe": mixture(QWEN3_MOE),
    "qwen3_vl_moe_text": mixture(QWEN3_MOE),
    "mixtral": mixture(MIXTRAL),
    "gpt_oss": mixture(GPT_OSS),
    "glm4_moe": mixture(GLM4_MOE),
    "glm4v_moe_text": mixture(GLM4_MOE),
    "phimoe": mixture(PHIMOE),
    "olmoe": mixture(OLMOE),
    "granitemoe": mixture(GRANITE_MOE),
    "granitemoeshared": mixture(GRANITE_MOE),
    "ernie4_5_moe": mixture(ERNIE_MOE),
    "dots1": mixture(DOTS),
    "exaone_moe": mixture(EXAONE_MOE),
    "solar_open": mixture(SOLAR_OPEN),
    "hunyuan_v1_moe": mixture(HUNYUAN_MOE),
    "deepseek": mixture(DEEPSEEK_MOE),
    "bailing_moe": mixture(LING),
    "bailing_moe_v2": mixture(LING),
    "hy_v3": mixture(HUNYUAN_V3),
}
