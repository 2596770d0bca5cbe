"""Every ``model_type`` that we read, and what its reader is."""

from collections.abc import Mapping

from domain.catalog.huggingface.chatglm import read_chatglm
from domain.catalog.huggingface.compressed import read_compressed
from domain.catalog.huggingface.dense import Reader
from domain.catalog.huggingface.dense_families import DENSE_READERS
from domain.catalog.huggingface.expert_families import EXPERT_READERS
from domain.catalog.huggingface.falcon import read_falcon
from domain.catalog.huggingface.gemma4 import read_gemma4
from domain.catalog.huggingface.gpt import GPT_READERS
from domain.catalog.huggingface.hybrid import (
    read_granite_hybrid,
    read_lightning,
    read_qwen_hybrid,
)
from domain.catalog.huggingface.kimi import read_kimi_linear
from domain.catalog.huggingface.latent import LATENT_READERS
from domain.catalog.huggingface.llama4 import read_llama4
from domain.catalog.huggingface.mimo import read_mimo
from domain.catalog.huggingface.minimax_m2 import read_minimax_m2
from domain.catalog.huggingface.minimax_m3 import read_minimax_m3
from domain.catalog.huggingface.nemotron import read_nemotron_h, read_searched

READERS: Mapping[str, Reader] = {
    **DENSE_READERS,
    **EXPERT_READERS,
    **LATENT_READERS,
    **GPT_READERS,
    "deepseek_v4": read_compressed,
    "llama4_text": read_llama4,
    "gemma4_text": read_gemma4,
    "falcon": read_falcon,
    "RefinedWeb": read_falcon,
    "RefinedWebModel": read_falcon,
    "chatglm": read_chatglm,
    "nemotron_h": read_nemotron_h,
    "nemotron-nas": read_searched,
    "deci": read_searched,
    "qwen3_next": read_qwen_hybrid,
    "qwen3_5_text": read_qwen_hybrid,
    "qwen3_5_moe_text": read_qwen_hybrid,
    "minimax": read_lightning,
    "minimax_text_01": read_lightning,
    "minimax_m1": read_lightning,
    "minimax_m2": read_minimax_m2,
    "minimax_m3": read_minimax_m3,
    "minimax_m3_text": read_minimax_m3,
    "minimax_m3_vl_text": read_minimax_m3,
    "kimi_linear": read_kimi_linear,
    "granitemoehybrid": read_granite_hybrid,
    "mimo_v2_flash": read_mimo,
    "mimo_v2": read_mimo,
}

WRAPPERS: Mapping[str, str] = {
    "gemma3": "gemma3_text",
    "gemma4": "gemma4_text",
    "llama4": "llama4_text",
    "mistral3": "mistral",
    "llava": "llama",
    "llava_next": "llama",
    "llava_onevision": "qwen2",
    "qwen2_vl": "qwen2_vl_text",
    "qwen2_5_vl": "qwen2_5_vl_text",
    "qwen3_vl": "qwen3_vl_text",
    "qwen3_vl_moe": "qwen3_vl_moe_text",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
    "kimi_vl": "deepseek_v3",
    "kimi_k25": "kimi_k2",
    "kimi_k3": "kimi_linear",
    "minimax_m3_vl": "minimax_m3",
    "internvl_chat": "qwen2",
    "internvl": "qwen2",
    "glm4v": "glm4v_text",
    "glm4v_moe": "glm4v_moe_text",
    "aya_vision": "cohere2",
    "cohere2_vision": "cohere2",
    "idefics3": "llama",
    "smolvlm": "llama",
}
"""Models of text and images: the kind of their language model where their text config does not name it."""

LANGUAGE_DEFAULTS: Mapping[str, Mapping[str, int]] = {
    "gemma3_text": {
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 262_208,
        "max_position_embeddings": 131_072,
    },
    "llama": {
        "hidden_size": 4_096,
        "intermediate_size": 11_008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32_000,
    },
}
"""What transformers takes where the text config of a model of text and images leaves a field out, as some do.

Source: transformers 5.23, configuration classes of the same names.
"""

TEXT_PARTS = ("text_config", "language_config", "llm_config")

ARCHITECTURES: Mapping[str, str] = {
    "DeepseekV2ForCausalLM": "deepseek_v2",
    "DeepseekV3ForCausalLM": "deepseek_v3",
    "DeepseekV32ForCausalLM": "deepseek_v32",
    "DeepseekV4ForCausalLM": "deepseek_v4",
    "DeciLMForCausalLM": "nemotron-nas",
    "ChatGLMModel": "chatglm",
    "ChatGLMForConditionalGeneration": "chatglm",
    "Gemma3ForCausalLM": "gemma3_text",
    "GlmMoeDsaForCausalLM": "glm_moe_dsa",
    "KimiK25ForConditionalGeneration": "kimi_k25",
    "KimiLinearForCausalLM": "kimi_linear",
    "LlamaForCausalLM": "llama",
    "MiMoV2FlashForCausalLM": "mimo_v2_flash",
    "MiniMaxForCausalLM": "minimax",
    "MiniMaxText01ForCausalLM": "minimax_text_01",
    "MiniMaxM1ForCausalLM": "minimax_m1",
    "MiniMaxM2ForCausalLM": "minimax_m2",
    "MiniMaxM3SparseForCausalLM": "minimax_m3",
    "MistralForCausalLM": "mistral",
    "MixtralForCausalLM": "mixtral",
    "NemotronHForCausalLM": "nemotron_h",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "Qwen3MoeForCausalLM": "qwen3_moe",
    "Qwen3NextForCausalLM": "qwen3_next",
    "RWForCausalLM": "falcon",
    "FalconForCausalLM": "falcon",
}
"""What a class reads, where ``model_type`` is missing or not known."""

OTHER_TASKS = ("Classification", "QuestionAnswering", "RewardModel", "ForEmbedding", "MaskedLM")
"""Words in the name of a class whose head is not that of a language model."""
