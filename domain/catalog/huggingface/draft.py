"""A model as a family's reader leaves it: one layer after the other, before like layers are told once."""

from dataclasses import dataclass

from domain.catalog.huggingface.fields import Fields
from domain.catalog.model import Layer, Model, StoredWeights, Tower


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a reader makes of a config."""

    family: str
    hidden_size: int
    vocabulary_size: int
    tied_embeddings: bool
    """What the family does where the config does not say."""
    layers: tuple[Layer, ...]
    """Every layer, first to last."""
    final_norm_bias: bool = False
    final_norm_count: int = 1
    learned_position_count: int = 0
    output_head_bias: bool = False
    embedding_norm: bool = False
    per_layer_vocabulary_size: int = 0
    mtp_layer_count: int = 0
    mtp_layer: Layer | None = None
    """None where MTP modules are of the last layer's kind."""
    experts_stored: str | None = None
    """Format of the routed experts where a quantised checkpoint stores them otherwise than the rest."""
    confidence: str = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a config tells about a model beside its language model."""

    tied_embeddings: bool
    towers: tuple[Tower, ...]
    max_position_tokens: int | None
    stored: StoredWeights


def model_of(draft: Draft, surroundings: Surroundings, model_id: str, *, note: str) -> Model:
    """Build the model: each kind of layer once, and the order of the kinds."""
    extra = (draft.mtp_layer,) if draft.mtp_layer_count and draft.mtp_layer else ()
    kinds = tuple(dict.fromkeys((*draft.layers, *extra)))
    place = {kind: index for index, kind in enumerate(kinds)}
    return Model(
        id=model_id,
        family=draft.family,
        hidden_size=draft.hidden_size,
        vocabulary_size=draft.vocabulary_size,
        tied_embeddings=surroundings.tied_embeddings,
        layers=kinds,
        pattern=tuple(place[layer] for layer in draft.layers),
        final_norm_bias=draft.final_norm_bias,
        final_norm_count=draft.final_norm_count,
        learned_position_count=draft.learned_position_count,
        output_head_bias=draft.output_head_bias,
        embedding_norm=draft.embedding_norm,
        per_layer_vocabulary_size=draft.per_layer_vocabulary_size,
        mtp_layer_count=draft.mtp_layer_count,
        mtp_kind=place[extra[0]] if extra else None,
        towers=surroundings.towers,
        max_position_tokens=surroundings.max_position_tokens,
        stored=surroundings.stored,
        confidence=draft.confidence,
        note=note,
    )


def hidden_size(fields: Fields) -> int:
    """Read the width of the model."""
    return fields.size("hidden_size", "n_embd", "d_model")


def vocabulary_size(fields: Fields) -> int:
    """Read the rows of the embedding table."""
    return fields.size("vocab_size", "padded_vocab_size")
