"""From a config.json to a model of the catalog, or to a list of everything in it that cannot be used."""

import re
from collections.abc import Mapping
from dataclasses import replace

from domain.catalog.huggingface.draft import Draft, Surroundings, model_of
from domain.catalog.huggingface.families import (
    ARCHITECTURES,
    LANGUAGE_DEFAULTS,
    OTHER_TASKS,
    READERS,
    TEXT_PARTS,
    WRAPPERS,
)
from domain.catalog.huggingface.fields import MOST, ConfigError, FieldProblem, Fields, shown
from domain.catalog.huggingface.stored import stored_weights
from domain.catalog.huggingface.towers import towers
from domain.catalog.model import Model

OF_TOWERS = re.compile(
    r"""vision|image|img_|visual|video|audio|speech|sound|projector|projection|patch|pixel|thumbnail|template|select_layer
    |downsample|ps_version|alignment|multimodal|^mm_|merge|lora|anyres|connector|perceiver""",
    re.VERBOSE,
)
"""Words in fields beside the language model that tell of its towers, which its own weights do not depend on."""
MOST_POSITIONS = MOST << 4
POSITIONS = (
    "max_position_embeddings",
    "n_positions",
    "max_sequence_length",
    "seq_length",
    "max_seq_len",
    "model_max_length",
)


def read_config(config: Mapping[str, object], *, id: str) -> Model:  # noqa: A002 - the name that the catalog uses
    """Read a Hugging Face config.json; raises `ConfigError` naming every field that cannot be used.

    Missing fields take the default that transformers documents for the architecture. What was not counted, or taken
    to be without effect, stands in the model's ``note``.
    """
    if not isinstance(config, Mapping):
        raise ConfigError([FieldProblem(field="config", given=shown(config), allowed="an object")])
    outer = Fields(config)
    text, model_type = _text_part(outer)
    reader = READERS.get(model_type)
    if reader is None:
        raise ConfigError(outer.problems)
    draft = reader(text)
    surroundings = _surroundings(outer, text, draft, id)
    text.close()
    if text is not outer:
        outer.repeats(text)
        outer.close(spared=OF_TOWERS)
    if outer.problems:
        raise ConfigError(outer.problems)
    return model_of(draft, surroundings, id, note=" ".join(outer.remarks))


def _text_part(outer: Fields) -> tuple[Fields, str]:
    """Find the language model within the config, and its kind."""
    given = outer.raw("model_type")
    model_type = given if isinstance(given, str) else ""
    architecture = _architecture(outer)
    if model_type not in READERS and model_type not in WRAPPERS:
        model_type = ARCHITECTURES.get(architecture, model_type)
    wraps = model_type in WRAPPERS
    part = next((part for name in TEXT_PARTS if wraps and (part := outer.inside(name)) is not None), None)
    if part is not None:
        inner = _inner_type(part, model_type)
        return part.with_defaults(LANGUAGE_DEFAULTS.get(inner, {})), inner
    if wraps:
        return outer, WRAPPERS[model_type]
    if model_type not in READERS:
        outer.refuse("model_type", "one of " + ", ".join(sorted({*READERS, *WRAPPERS})))
    return outer, model_type


def _inner_type(part: Fields, model_type: str) -> str:
    stated = part.raw("model_type")
    if stated is None:
        return WRAPPERS[model_type]
    if not isinstance(stated, str) or stated not in READERS:
        part.refuse("model_type", "one of " + ", ".join(sorted(READERS)))
        return ""
    return stated


def _architecture(outer: Fields) -> str:
    """Name of the class; one that is no language model is refused."""
    stated = outer.raw("architectures")
    first = stated[0] if isinstance(stated, (list, tuple)) and stated else ""
    if not isinstance(first, str) or (stated is not None and not isinstance(stated, (list, tuple))):
        outer.refuse("architectures", "a list of names")
        return ""
    if any(task in first for task in OTHER_TASKS):
        outer.refuse("architectures", "a language model")
    return first


def _surroundings(outer: Fields, text: Fields, draft: Draft, model_id: str) -> Surroundings:
    model_type = outer.raw("model_type")
    beside = towers(outer, model_type if isinstance(model_type, str) else "", draft.hidden_size)
    stored = stored_weights(outer, text, len(draft.layers), model_id)
    if draft.experts_stored not in (None, stored.number_format) and stored.number_format == "fp8":
        stored = replace(stored, by_component=(*stored.by_component, ("routed_experts", str(draft.experts_stored))))
    return Surroundings(
        tied_embeddings=_tied(outer, text, default=draft.tied_embeddings),
        towers=beside,
        max_position_tokens=_positions(outer, text),
        stored=stored,
    )


def _tied(outer: Fields, text: Fields, *, default: bool) -> bool:
    """Whether the head is the embedding table: as the whole model says, else its language model, else its family."""
    inner = text.flag("tie_word_embeddings", default=default)
    return outer.flag("tie_word_embeddings", default=inner)


def _positions(outer: Fields, text: Fields) -> int | None:
    for fields in (text, outer):
        for name in POSITIONS:
            stated = fields.optional_size(name, most=MOST_POSITIONS)
            if stated is not None:
                return stated
    return None
