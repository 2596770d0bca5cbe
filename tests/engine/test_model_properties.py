"""What holds for every model, whatever its sizes."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.model import (
    CompressedAttention,
    DenseFeedForward,
    LatentAttention,
    Layer,
    LinearAttention,
    MixtureOfExperts,
    Model,
    SelfAttention,
    SparseIndexer,
    StoredWeights,
)
from domain.engine.model import (
    WeightPart,
    cache_bytes_per_token,
    cache_parts,
    convolution_bytes_per_sequence,
    entry_weight_parts,
    exit_weight_parts,
    index_bytes_per_token,
    layer_weight_parts,
    mtp_weight_parts,
    outer_weight_parts,
    output_head_parts,
    parameter_counts,
    state_bytes_per_sequence,
    weight_parts,
)

sizes = st.integers(1, 64)
switches = st.booleans()
windows = st.none() | st.integers(1, 4_096)
indexers = st.builds(SparseIndexer, head_count=sizes, head_dim=sizes, selected_token_count=sizes)
self_attentions = st.builds(
    SelfAttention,
    head_count=sizes,
    kv_head_count=sizes,
    head_dim=sizes,
    value_head_dim=sizes,
    window_tokens=windows,
    qkv_bias=switches,
    output_bias=switches,
    query_key_norm=st.sampled_from(["none", "per_head", "per_layer"]),
    output_gate=switches,
    sinks=switches,
    key_equals_value=switches,
    reuses_cache=switches,
)
latent_attentions = st.builds(
    LatentAttention,
    head_count=sizes,
    query_lora_rank=st.none() | sizes,
    kv_lora_rank=sizes,
    nope_head_dim=sizes,
    rope_head_dim=sizes,
    value_head_dim=sizes,
    indexer=st.none() | indexers,
)
compressed_attentions = st.builds(
    CompressedAttention,
    head_count=sizes,
    head_dim=sizes,
    rope_head_dim=sizes,
    query_lora_rank=sizes,
    output_lora_rank=sizes,
    output_group_count=sizes,
    window_tokens=sizes,
    compression=st.sampled_from([0, 4, 128]),
    indexer=st.none() | indexers,
)
linear_attentions = st.builds(
    LinearAttention,
    kind=st.sampled_from(["gated_deltanet", "mamba2", "lightning", "kda"]),
    key_head_count=sizes,
    value_head_count=sizes,
    key_head_dim=sizes,
    value_head_dim=sizes,
    convolution_width=st.integers(1, 4),
    group_count=sizes,
)
attentions = self_attentions | latent_attentions | compressed_attentions | linear_attentions
experts = st.integers(1, 8).flatmap(
    lambda count: st.builds(
        MixtureOfExperts,
        expert_count=st.just(count),
        experts_per_token=st.integers(1, count),
        intermediate_size=sizes,
        gated=switches,
        shared_intermediate_size=st.integers(0, 64),
        shared_gate=switches,
        router_bias=switches,
        expert_bias=switches,
        latent_size=st.none() | sizes,
        residual_intermediate_size=st.integers(0, 64),
        router_scales=switches,
    )
)
feed_forwards = experts | st.builds(DenseFeedForward, intermediate_size=sizes, gated=switches, bias=switches)
layers = st.builds(
    Layer,
    attention=attentions,
    feed_forward=feed_forwards,
    norm_count=st.integers(0, 4),
    norm_bias=switches,
    hyper_connection_count=st.sampled_from([0, 4]),
    per_layer_input_size=st.sampled_from([0, 8]),
    scale_count=st.integers(0, 2),
)


@st.composite
def models(draw):
    kinds = tuple(draw(st.lists(layers, min_size=1, max_size=3)))
    pattern = tuple(draw(st.lists(st.integers(0, len(kinds) - 1), min_size=1, max_size=12)))
    return Model(
        id="made up",
        family="made up",
        hidden_size=draw(sizes),
        vocabulary_size=draw(sizes),
        tied_embeddings=draw(switches),
        layers=kinds,
        pattern=pattern,
        final_norm_bias=draw(switches),
        learned_position_count=draw(st.integers(0, 8)),
        per_layer_vocabulary_size=draw(sizes),
        mtp_layer_count=draw(st.integers(0, 2)),
        stored=StoredWeights(number_format="bf16"),
    )


def total(parts: Iterable[WeightPart]) -> int:
    return sum(part.parameter_count for part in parts)


@given(model=models())
def test_a_model_is_its_layers_and_what_stands_around_them(model):
    in_layers = sum(total(layer_weight_parts(model.layers[kind], model.hidden_size)) for kind in model.pattern)
    assert total(weight_parts(model)) == in_layers + total(outer_weight_parts(model))


@given(model=models())
def test_what_stands_around_the_layers_is_entry_exit_and_mtp(model):
    around = (*entry_weight_parts(model), *exit_weight_parts(model), *mtp_weight_parts(model))
    assert outer_weight_parts(model) == around


@given(model=models())
def test_a_token_never_passes_more_than_there_is(model):
    counts = parameter_counts(model)
    assert 0 < counts.active_without_input_embedding <= counts.active <= counts.total
    assert sum(count for _, count in counts.by_component) == counts.total + counts.mtp + counts.tower


@given(model=models())
def test_a_tied_model_saves_exactly_its_output_head(model):
    untied = parameter_counts(replace(model, tied_embeddings=False)).total
    tied = parameter_counts(replace(model, tied_embeddings=True)).total
    assert untied - tied == total(output_head_parts(model)) == model.vocabulary_size * model.hidden_size


@given(model=models())
def test_a_model_twice_as_deep_caches_twice_as_much(model):
    deeper = replace(model, pattern=model.pattern * 2)
    for measure in (state_bytes_per_sequence, convolution_bytes_per_sequence, index_bytes_per_token):
        assert measure(deeper) == pytest.approx(2 * measure(model))
    assert cache_bytes_per_token(deeper, 2.0) == pytest.approx(2 * cache_bytes_per_token(model, 2.0))


@given(model=models(), element_bytes=st.sampled_from([0.5, 1.0, 2.0, 4.0]))
def test_a_cache_is_proportional_to_its_elements(model, element_bytes):
    assert cache_bytes_per_token(model, element_bytes) == pytest.approx(
        element_bytes * cache_bytes_per_token(model, 1.0)
    )


@given(model=models())
def test_what_grows_is_part_of_what_is_cached(model):
    assert 0 <= cache_bytes_per_token(model, 2.0, growing_only=True) <= cache_bytes_per_token(model, 2.0)


@given(attention=attentions)
def test_a_cache_part_is_kept_per_token_or_per_sequence_and_never_both(attention):
    for part in cache_parts(attention):
        assert (part.elements_per_token > 0) != (part.elements_per_sequence > 0)
        assert (part.split == "none") <= (part.head_count == 1)


@given(attention=self_attentions, hidden_size=sizes)
def test_weights_of_keys_and_values_divide_among_their_heads(attention, hidden_size):
    layer = Layer(attention=attention, feed_forward=None, norm_count=0)
    for part in layer_weight_parts(layer, hidden_size):
        if part.split == "kv_heads":
            assert part.parameter_count % attention.kv_head_count == 0
        if part.split == "query_heads":
            assert part.parameter_count % attention.head_count == 0


@given(mixture=experts, hidden_size=sizes)
def test_routed_experts_divide_among_experts_and_a_token_passes_its_share(mixture, hidden_size):
    layer = Layer(attention=None, feed_forward=mixture, norm_count=0)
    for part in layer_weight_parts(layer, hidden_size):
        if part.component == "routed_experts":
            whole = part.parameter_count * mixture.experts_per_token
            assert part.active_parameter_count * mixture.expert_count == whole


@given(model=models())
def test_every_kind_of_part_stands_once(model):
    kinds = [(part.component, part.split, part.matrix) for part in weight_parts(model)]
    assert len(kinds) == len(set(kinds))


@pytest.mark.parametrize("wrong", ["per_token", ""])
def test_an_unknown_query_key_norm_is_refused(wrong):
    attention = SelfAttention(head_count=1, kv_head_count=1, head_dim=1, value_head_dim=1, query_key_norm=wrong)
    with pytest.raises(ValueError, match="per_head"):
        layer_weight_parts(Layer(attention=attention, feed_forward=None, norm_count=0), 1)


def test_an_unknown_linear_attention_is_refused():
    attention = LinearAttention(
        kind="mystery",
        key_head_count=1,
        value_head_count=1,
        key_head_dim=1,
        value_head_dim=1,
        convolution_width=1,
    )
    with pytest.raises(ValueError, match="gated_deltanet"):
        layer_weight_parts(Layer(attention=attention, feed_forward=None, norm_count=0), 1)
