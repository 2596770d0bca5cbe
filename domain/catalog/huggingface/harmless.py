"""Fields of a config.json that change neither weights nor caches, and words that make an unknown field suspicious."""

import re

HARMLESS_WORDS = """
    architectures model_type output_past auto_map _name_or_path name_or_path transformers_version transformers.js_config
    torch_dtype dtype _commit_hash _attn_implementation _attn_implementation_autoset attn_implementation
    _flash_attn_2_enabled use_flash_attn use_cache cache_implementation cache_config is_decoder
    is_encoder_decoder add_cross_attention cross_attention_hidden_size return_dict output_attentions
    output_hidden_states output_router_logits torchscript pruned_heads use_bfloat16 tie_encoder_decoder
    chunk_size_feed_forward id2label label2id num_labels finetuning_task task_specific_params problem_type
    prefix tokenizer_class max_position_embeddings max_sequence_length max_seq_len seq_length n_ctx
    model_max_length initial_context_length original_max_position_embeddings max_model_len training_max_seq_len
    max_seq_length hidden_act hidden_activation activation_function act_fn mlp_hidden_act mamba_hidden_act
    ffn_act_fn lm_head_multiplier rms_norm_eps layer_norm_eps layer_norm_epsilon layernorm_epsilon norm_eps
    norm_epsilon layernorm_eps eps initializer_range initializer_factor init_std init_method
    embedding_initializer_range initializer_cutoff_factor attention_dropout hidden_dropout resid_pdrop
    embd_pdrop attn_pdrop classifier_dropout attn_dropout resid_dropout embedding_dropout residual_dropout
    layerdrop emb_dropout_prob attn_dropout_prob activation_dropout dropout attention_probs_dropout_prob
    hidden_dropout_prob summary_type summary_use_proj summary_activation summary_proj_to_labels
    summary_first_dropout router_aux_loss_coef router_jitter_noise router_z_loss_coef aux_loss_alpha seq_aux
    pretraining_tp ep_size tp_size num_logits_to_keep logits_to_keep residual_in_fp32 fp32_residual_connection
    norm_topk_prob norm_topk topk_method scoring_func score_function n_group topk_group routed_scaling_factor
    router_scoring_func moe_router_activation_func moe_renormalize router_score_function num_expert_group
    router_scaling_factor use_grouped_topk route_scale route_norm score_func routed_scaling
    final_logit_softcapping attn_logit_softcapping query_pre_attn_scalar logit_scale logits_scaling
    attention_multiplier embedding_multiplier residual_multiplier scale_emb scale_depth dim_model_base
    mup_denominator mup_width_scale attention_value_scale swiglu_limit limit_alpha softmax_scale
    scale_attn_weights scale_attn_by_inverse_layer_idx reorder_and_upcast_attn attention_softmax_in_fp32
    scale_attention_softmax_in_fp32 apply_query_key_layer_scaling masked_softmax_fusion slow_but_exact
    offset_alibi unk_id time_step_min time_step_max time_step_floor time_step_limit time_step_rank
    rescale_prenorm_residual use_mamba_kernels mamba_ssm_dtype mamba_ssm_cache_dtype mamba_chunk_size chunk_size
    hc_eps hc_sinkhorn_iters alibi alibi_bias_max position_embedding_type partial_rotary_factor rotary_pct
    rotary_dim no_rope_layers no_rope_layer_interval nope_layer_interval floor_scale attn_scale
    attn_temperature_tuning use_bidirectional_attention is_causal compression_config
    torch_dtype_str temperature top_p top_k do_sample repetition_penalty num_return_sequences
    length_penalty min_length max_length num_beams num_beam_groups diversity_penalty early_stopping
    bad_words_ids no_repeat_ngram_size encoder_no_repeat_ngram_size typical_p exponential_decay_length_penalty
    remove_invalid_values suppress_tokens begin_suppress_tokens forced_bos_token_id forced_eos_token_id
    return_dict_in_generate output_scores tf_legacy_loss use_qk_norm_in_fp32 fused_rope memory_efficient_linear
    use_liger_kernel gradient_checkpointing onnx_safe max_new_tokens generation_config language licence license
    _from_model_config embed_dropout
"""
HARMLESS = frozenset(HARMLESS_WORDS.split())

HARMLESS_PATTERN = re.compile(
    r"""
    .*(rope|rotary|dropout|pdrop|_eps$|epsilon|initializer|init_|_std$).*
    | ignore_index | .*token_id(s)?$ | .*token_index$ | (image|video|audio|vision)_token.*
    | mm_tokens_per_.* | .*soft_tokens_per_.*
    | .*_act$ | .*activation.* | .*fp32.* | .*_loss_?.* | projector_.* | mm_projector.* | .*_alpha$ | .*_beta$
    | .*(loss|z_loss|jitter|aux).*coef.* | .*_loss.*
    | .*(softcap|soft_cap).*
    | .*(tokenizer|processor|preprocess|image_|video_|audio_|vision_feature).*
    | kv_cache_(dtype|scheme) | fused?_.* | .*_fusion$
    | use_(flash|fused|triton|cache|memory_efficient|kernel).* | .*_(dtype|impl|implementation|backend)$
    """,
    re.VERBOSE,
)
"""Names that tell a matter which touches neither weights nor caches: positions, training, token ids, kernels."""

ALWAYS_HARMLESS_PATTERN = re.compile(r"_.*|(tensor|sequence|expert|pipeline|context|data)_(model_)?parallel.*")
"""Private fields, and how a model was spread while it was trained."""

PLAINLY_STRUCTURAL_PATTERN = re.compile(r"(layers|heads|experts|blocks|size|dim|rank|pattern|window)(_|$)")
"""Words that no matter of positions or training excuses."""

STRUCTURAL_PATTERN = re.compile(
    r"""layer|head|expert|pattern|window|dim|size|rank|lora|sparse|attention|attn|mlp|ffn|feed_forward|moe|mamba|ssm|state
    |conv|kv|cache|tie|share|bias|num_|^n_|hidden|interval|freq|types|mtp|nextn|block|norm|latent|index|compress|vocab|embed
    |_config$|quant|gate|memory|adapter|depth|width|stride|ratio|mult|group|proj|linear|recurrent|skip|loop|recur|hash|engram|residual""",
    re.VERBOSE,
)
"""Words in the name of a field that may add, widen or share weights or caches."""


def is_harmless(name: str) -> bool:
    """Whether a field of this name changes neither weights nor caches in any architecture we read."""
    if name in HARMLESS or ALWAYS_HARMLESS_PATTERN.fullmatch(name):
        return True
    return HARMLESS_PATTERN.fullmatch(name) is not None and not PLAINLY_STRUCTURAL_PATTERN.search(name)


def is_structural(name: str) -> bool:
    """Whether an unknown field of this name may change weights or caches."""
    return STRUCTURAL_PATTERN.search(name.lower()) is not None
