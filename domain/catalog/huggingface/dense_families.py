"""The dense families, each by the habits in which it differs."""

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
    dense,
    each_full,
)

MISTRAL_WINDOW_TOKENS = 4_096
"""What transformers takes for Mistral, Gemma 2 and Cohere 2 where their configs do not say."""
BIAS = by("bias")
USE_BIAS = by("use_bias")
DEFAULT_BIAS = by("use_bias", default=True)
DEFAULT_ATTENTION_BIAS = by("attention_bias", default=True)
ALL_BIASED = Biases(qkv=ON, output=ON, mlp=ON)
ALL_WITH_USE_BIAS = Biases(qkv=USE_BIAS, output=USE_BIAS, mlp=USE_BIAS)

QWEN2 = DenseFamily(
    name="Qwen2",
    biases=Biases(qkv=by("attention_bias", "qkv_bias", default=True)),
    windows=upper_layers_windowed,
    only_off=("qk_norm", "use_qk_norm"),
)
QWEN3 = DenseFamily(
    name="Qwen3", biases=ATTENTION_BIAS, query_key_norm="per_head", head_dim=128, windows=upper_layers_windowed
)
MISTRAL = DenseFamily(
    name="Mistral",
    windows=partial(all_windowed, default=MISTRAL_WINDOW_TOKENS),
    only_off=("attention_bias", "mlp_bias"),
)
PHI3 = DenseFamily(name="Phi", windows=all_windowed, only_off=("attention_bias", "mlp_bias"))
GRANITE = replace(LLAMA, name="Granite")
GEMMA = DenseFamily(name="Gemma", tied=True, biases=ATTENTION_BIAS, head_dim=256)
GEMMA2 = replace(GEMMA, name="Gemma 2", norm_count=4, windows=partial(each_full, every=2, window=MISTRAL_WINDOW_TOKENS))
GEMMA3 = replace(
    GEMMA2, name="Gemma 3", query_key_norm="per_head", windows=partial(each_full, every=6, window=MISTRAL_WINDOW_TOKENS)
)
COHERE = DenseFamily(
    name="Command R",
    tied=True,
    biases=ATTENTION_BIAS,
    norm_count=1,
    query_key_norm="per_layer",
    query_key_norm_switch=by("use_qk_norm"),
)
COHERE2 = replace(
    COHERE,
    name="Command A",
    query_key_norm="none",
    windows=partial(each_full, every=4, window=MISTRAL_WINDOW_TOKENS),
    known=("layer_switch",),
)
OLMO2 = DenseFamily(name="OLMo 2", biases=ATTENTION_BIAS, query_key_norm="per_layer")
OLMO3 = replace(OLMO2, name="OLMo 3", windows=partial(each_full, every=4, window=MISTRAL_WINDOW_TOKENS))
GLM = DenseFamily(name="GLM", head_dim=128, biases=Biases(qkv=DEFAULT_ATTENTION_BIAS))
NEMOTRON = DenseFamily(name="Nemotron", biases=LLAMA_BIASES, norm_bias=True, gated=False, known=("norm_type",))
STARCODER2 = DenseFamily(
    name="StarCoder2",
    tied=True,
    biases=Biases(qkv=DEFAULT_BIAS, output=DEFAULT_BIAS, mlp=DEFAULT_BIAS),
    norm_bias=True,
    gated=False,
    windows=all_windowed,
    fixed=(("norm_type", "layer_norm"), ("mlp_type", "default")),
)
STABLELM = DenseFamily(
    name="StableLM",
    biases=Biases(qkv=by("use_qkv_bias")),
    norm_bias=True,
    only_off=("qk_layernorm", "use_parallel_residual"),
)
PHI = DenseFamily(
    name="Phi", biases=ALL_BIASED, norm_bias=True, gated=False, norm_count=1, head_bias=ON, only_off=("qk_layernorm",)
)
GPT_NEOX = DenseFamily(
    name="GPT-NeoX",
    biases=Biases(qkv=DEFAULT_ATTENTION_BIAS, output=DEFAULT_ATTENTION_BIAS, mlp=ON),
    norm_bias=True,
    gated=False,
    known=("use_parallel_residual", "rotary_emb_base"),
)
INTERNLM = replace(LLAMA, name="InternLM", biases=Biases(qkv=BIAS, output=BIAS))
INTERNLM3 = replace(LLAMA, name="InternLM", biases=Biases(qkv=by("qkv_bias"), output=BIAS, mlp=BIAS))
SEED_OSS = replace(
    LLAMA,
    name="Seed-OSS",
    head_dim=128,
    biases=Biases(qkv=DEFAULT_ATTENTION_BIAS, output=by("attention_out_bias"), mlp=by("mlp_bias")),
)
EXAONE4 = DenseFamily(name="EXAONE 4", query_key_norm="per_head", windows=partial(each_full, every=4))
HUNYUAN = DenseFamily(
    name="Hunyuan",
    biases=ATTENTION_BIAS,
    query_key_norm="per_head",
    query_key_norm_switch=by("use_qk_norm", default=True),
    only_off=("use_cla", "mlp_bias"),
)
ERNIE = DenseFamily(name="ERNIE 4.5", tied=True, biases=ALL_WITH_USE_BIAS)
SMOLLM3 = replace(LLAMA, name="SmolLM3", tied=True, windows=upper_layers_windowed)
APERTUS = DenseFamily(
    name="Apertus",
    biases=ATTENTION_BIAS,
    query_key_norm="per_head",
    gated=False,
    scale_count=2,
    known=("qk_norm", "post_norm"),
)
BAICHUAN = DenseFamily(name="Baichuan", only_off=("attention_bias",))
MINICPM = replace(LLAMA, name="MiniCPM", tied=True)

DENSE_READERS: Mapping[str, Reader] = {
    "llama": dense(replace(LLAMA, only_off=("sliding_window", "use_sliding_window"))),
    "mistral": dense(MISTRAL),
    "ministral": dense(replace(MISTRAL, name="Ministral")),
    "ministral3": dense(replace(MISTRAL, name="Ministral", windows=all_windowed)),
    "qwen2": dense(QWEN2),
    "qwen2_vl_text": dense(QWEN2),
    "qwen2_5_vl_text": dense(QWEN2),
    "qwen3": dense(QWEN3),
    "qwen3_vl_text": dense(QWEN3),
    "phi": dense(PHI),
    "phi3": dense(PHI3),
    "granite": dense(GRANITE),
    "gemma": dense(GEMMA),
    "gemma2": dense(GEMMA2),
    "gemma3_text": dense(GEMMA3),
    "cohere": dense(COHERE),
    "cohere2": dense(COHERE2),
    "olmo2": dense(OLMO2),
    "olmo3": dense(OLMO3),
    "glm": dense(GLM),
    "glm4": dense(replace(GLM, norm_count=4)),
    "glm4v_text": dense(replace(GLM, norm_count=4)),
    "nemotron": dense(NEMOTRON),
    "starcoder2": dense(STARCODER2),
    "stablelm": dense(STABLELM),
    "gpt_neox": dense(GPT_NEOX),
    "internlm": dense(INTERNLM),
    "internlm2": dense(INTERNLM),
    "internlm3": dense(INTERNLM3),
    "seed_oss": dense(SEED_OSS),
    "exaone4": dense(EXAONE4),
    "hunyuan_v1_dense": dense(HUNYUAN),
    "ernie4_5": dense(ERNIE),
    "smollm3": dense(SMOLLM3),
    "arcee": dense(replace(LLAMA, name="Arcee", gated=False)),
    "apertus": dense(APERTUS),
    "baichuan": dense(BAICHUAN),
    "minicpm": dense(MINICPM),
    "aquila": dense(replace(LLAMA, name="Aquila")),
    "xverse": dense(replace(LLAMA, name="XVERSE")),
    "yi": dense(replace(LLAMA, name="Yi")),
    "Yi": dense(replace(LLAMA, name="Yi")),
    "orion": dense(replace(LLAMA, name="Orion", norm_bias=True)),
}
