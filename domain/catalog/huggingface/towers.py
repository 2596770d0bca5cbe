"""Towers beside the language model: which encoder a config describes, and what joins the two."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from domain.catalog.huggingface import vision as encoders
from domain.catalog.huggingface.fields import Fields
from domain.catalog.huggingface.vision import linear
from domain.catalog.model import Tower

Encoder = Callable[[Fields], int]
Joint = Callable[[Fields, Fields, int], int]
"""Parameters that join a tower (outer config, vision config) to a language model of a width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TowerKind:
    """A kind of encoder and what joins it."""

    encoder: Encoder
    joint: Joint


def _vision_width(vision: Fields) -> int:
    return vision.size("hidden_size", "vt_hidden_size")


def join_gemma3(_: Fields, vision: Fields, width: int) -> int:
    """A projection without bias behind a norm."""
    return linear(_vision_width(vision), width, bias=False) + _vision_width(vision)


def join_gemma4(_: Fields, vision: Fields, width: int) -> int:
    """A projection without bias behind a norm without weights."""
    return linear(_vision_width(vision), width, bias=False)


def join_mistral(outer: Fields, vision: Fields, width: int) -> int:
    """A norm, a merger of patches and two layers."""
    side = outer.size("spatial_merge_size", default=2)
    own = _vision_width(vision)
    biased = outer.flag("multimodal_projector_bias", default=False)
    merger = own + linear(own * side * side, own, bias=False)
    return merger + linear(own, width, bias=biased) + linear(width, width, bias=biased)


def join_llava(outer: Fields, vision: Fields, width: int) -> int:
    """Two layers over one or several depths of the encoder, and the mark of a new line in LLaVA-NeXT."""
    tapped = outer.raw("vision_feature_layer")
    depths = len(tapped) if isinstance(tapped, (list, tuple)) else 1
    biased = outer.flag("multimodal_projector_bias", default=True)
    newline = width if outer.text("model_type") in {"llava_next", "llava_onevision"} else 0
    return linear(depths * _vision_width(vision), width, bias=biased) + linear(width, width, bias=biased) + newline


def join_merged(_: Fields, vision: Fields, width: int) -> int:
    """The last layer of a merger, from merged patches to the language model."""
    own = (
        vision.size("embed_dim", "vt_hidden_size")
        if _has(vision, "embed_dim", "vt_hidden_size")
        else _vision_width(vision)
    )
    side = vision.size("spatial_merge_size", default=encoders.MERGED)
    return linear(own * side * side, width)


def join_qwen(_: Fields, vision: Fields, width: int) -> int:
    """The last layer of a merger whose output the encoder states."""
    own, name = (
        (vision.size("embed_dim"), "hidden_size")
        if vision.has("embed_dim")
        else (_vision_width(vision), "out_hidden_size")
    )
    side = vision.size("spatial_merge_size", default=encoders.MERGED)
    return linear(own * side * side, vision.size(name, default=width))


def join_nothing(_: Fields, __: Fields, ___: int) -> int:
    """The encoder ends in the language model's width."""
    return 0


def join_kimi_k3(_: Fields, vision: Fields, width: int) -> int:
    """Two layers without bias over merged patches, and a norm."""
    merged = vision.size("mm_hidden_size", "vt_hidden_size") * encoders.MERGED * encoders.MERGED
    return linear(merged, merged, bias=False) + linear(merged, width, bias=False) + width


def join_minimax(outer: Fields, vision: Fields, width: int) -> int:
    """Two layers for each patch, and two for merged patches."""
    inner = outer.size("projector_hidden_size", default=width)
    merged = width * encoders.MERGED * encoders.MERGED
    each = linear(_vision_width(vision), inner) + linear(inner, width)
    return each + linear(merged, inner) + linear(inner, width)


def join_llama4(_: Fields, vision: Fields, width: int) -> int:
    """One layer without bias."""
    return linear(vision.size("vision_output_dim"), width, bias=False)


def join_internvl(_: Fields, vision: Fields, width: int) -> int:
    """A norm and two layers over merged patches."""
    merged = _vision_width(vision) * encoders.MERGED * encoders.MERGED
    return 2 * merged + linear(merged, width) + linear(width, width)


def _has(vision: Fields, *names: str) -> bool:
    return any(vision.has(name) for name in names)


SIGLIP_BESIDE_GEMMA = TowerKind(encoder=encoders.siglip, joint=join_gemma3)
MOONVIT = TowerKind(encoder=encoders.moonvit, joint=join_merged)
QWEN3 = TowerKind(encoder=encoders.qwen3, joint=join_nothing)
QWEN3_VL = TowerKind(encoder=partial(encoders.qwen3, default_taps=(8, 16, 24)), joint=join_nothing)
LLAVA_ENCODERS: Mapping[str, Encoder] = {
    "siglip_vision_model": encoders.siglip,
    "clip_vision_model": encoders.clip,
    "pixtral": encoders.pixtral,
}
TOWER_KINDS: Mapping[str, TowerKind] = {
    "gemma3": SIGLIP_BESIDE_GEMMA,
    "gemma4": TowerKind(encoder=encoders.gemma4, joint=join_gemma4),
    "mistral3": TowerKind(encoder=encoders.pixtral, joint=join_mistral),
    "kimi_vl": MOONVIT,
    "kimi_k25": MOONVIT,
    "kimi_k3": TowerKind(encoder=encoders.moonvit2, joint=join_kimi_k3),
    "qwen2_vl": TowerKind(encoder=encoders.qwen2, joint=join_qwen),
    "qwen2_5_vl": TowerKind(encoder=encoders.qwen2_5, joint=join_qwen),
    "qwen3_vl": QWEN3_VL,
    "qwen3_vl_moe": QWEN3_VL,
    "qwen3_5": QWEN3,
    "qwen3_5_moe": QWEN3,
    "minimax_m3_vl": TowerKind(encoder=encoders.minimax, joint=join_minimax),
    "llama4": TowerKind(encoder=encoders.llama4, joint=join_llama4),
    "internvl_chat": TowerKind(encoder=encoders.internvit, joint=join_internvl),
}
LLAVAS = ("llava", "llava_next", "llava_onevision")
OTHER_PARTS = ("audio_config", "speech_config", "video_config", "audio_encoder_config", "sound_config")


def towers(outer: Fields, model_type: str, width: int) -> tuple[Tower, ...]:
    """Count the encoders beside a language model of a width, and remark upon those that are not counted."""
    for name in OTHER_PARTS:
        if outer.inside(name) is not None:
            outer.remark(f"The tower described by {name} is loaded with the model, but not counted.")
    vision = outer.inside("vision_config") or outer.inside("visual")
    kind = _kind(model_type, vision)
    if vision is None:
        if model_type in TOWER_KINDS or model_type in LLAVAS:
            outer.remark("The vision tower is not described (no vision_config), and not counted.")
        return ()
    if kind is None or not _is_described(vision):
        outer.remark("The vision tower is loaded with the model, but not of a kind that we count.")
        return ()
    count = kind.encoder(vision) + kind.joint(outer, vision, width)
    return (Tower(name="vision", parameter_count=count, source="config.json, vision_config"),)


def _kind(model_type: str, vision: Fields | None) -> TowerKind | None:
    if vision is not None and model_type in LLAVAS:
        encoder = LLAVA_ENCODERS.get(vision.text("model_type"))
        return TowerKind(encoder=encoder, joint=join_llava) if encoder else None
    return TOWER_KINDS.get(model_type)


def _is_described(vision: Fields) -> bool:
    """Whether the fields without which nothing can be counted are there."""
    sized = _has(vision, "hidden_size", "vt_hidden_size", "embed_dim")
    return sized and _has(vision, "num_hidden_layers", "depth", "vt_num_hidden_layers") and _has(vision, "patch_size")
