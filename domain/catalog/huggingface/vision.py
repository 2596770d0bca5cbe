"""Parameters of vision encoders, each kind block by block, with what joins it to the language model."""

from collections.abc import Collection

from domain.catalog.huggingface.fields import MOST_LAYERS, Fields

COLOURS = 3
MERGED = 2
"""Patches along each side that are merged into one before they reach the language model."""


def linear(inputs: int, outputs: int, *, bias: bool = True) -> int:
    """Parameters of a linear layer."""
    return inputs * outputs + (outputs if bias else 0)


def block(width: int, inner: int, *, bias: bool = True, gated: bool = False, norm_size: int = 2) -> int:
    """Parameters of an encoder layer: four projections, a feed-forward layer, two norms of ``norm_size`` x width."""
    attention = 4 * linear(width, width, bias=bias)
    feed_forward = (2 if gated else 1) * linear(width, inner, bias=bias) + linear(inner, width, bias=bias)
    return attention + feed_forward + 2 * norm_size * width


def patches(vision: Fields) -> tuple[int, int]:
    """Read the colours and the side of a patch."""
    colours = vision.size("num_channels", "in_channels", "in_chans", default=COLOURS)
    return colours, vision.size("patch_size", "spatial_patch_size")


def patch_count(vision: Fields, side: int) -> int:
    """How many patches an image of the one size that the encoder knows has."""
    along = vision.size("image_size") // side
    return along * along


def depth(vision: Fields) -> int:
    """Read the number of encoder layers."""
    return vision.size("num_hidden_layers", "depth", "vt_num_hidden_layers", most=MOST_LAYERS)


def siglip(vision: Fields) -> int:
    """SigLIP, with its pooling head unless the config leaves it out.

    Check: Gemma 3 27B, whose checkpoint holds 27 432 406 640 parameters, text included.
    """
    width, inner = vision.size("hidden_size"), vision.size("intermediate_size")
    colours, side = patches(vision)
    count = patch_count(vision, side)
    pooling = 0
    if vision.flag("vision_use_head", default=True):
        pooling = width + 4 * linear(width, width) + 2 * width + linear(width, inner) + linear(inner, width)
    embedding = linear(colours * side * side, width) + count * width
    return embedding + depth(vision) * block(width, inner) + 2 * width + pooling


def clip(vision: Fields) -> int:
    """CLIP, with a class token."""
    width, inner = vision.size("hidden_size"), vision.size("intermediate_size")
    colours, side = patches(vision)
    count = patch_count(vision, side)
    embedding = linear(colours * side * side, width, bias=False) + (count + 2) * width
    return embedding + depth(vision) * block(width, inner) + 4 * width


def pixtral(vision: Fields) -> int:
    """Pixtral: rotary positions, no biases, gated layers."""
    width, inner = vision.size("hidden_size"), vision.size("intermediate_size")
    colours, side = patches(vision)
    layer = block(width, inner, bias=False, gated=True, norm_size=1)
    return linear(colours * side * side, width, bias=False) + width + depth(vision) * layer


def moonvit(vision: Fields) -> int:
    """MoonViT of Kimi-VL and Kimi K2.5, with its projector's norm and first layer."""
    width = vision.size("hidden_size", "vt_hidden_size")
    inner = vision.size("intermediate_size", "vt_intermediate_size")
    colours, side = patches(vision)
    rows = vision.size("init_pos_emb_height", "pos_emb_height", default=64)
    columns = vision.size("init_pos_emb_width", "pos_emb_width", default=64)
    merged = width * MERGED * MERGED
    embedding = linear(colours * side * side, width) + rows * columns * width
    return embedding + depth(vision) * block(width, inner) + 4 * width + linear(merged, merged)


def moonvit2(vision: Fields) -> int:
    """Kimi K3's encoder: no biases, norms without bias, attention of a width of its own."""
    width = vision.size("vt_hidden_size")
    inner = vision.size("vt_intermediate_size")
    attention = vision.size("qkv_hidden_size", default=width)
    colours, side = patches(vision)
    tables = vision.size("init_pos_emb_height", default=64) * vision.size("init_pos_emb_width", default=64) * width
    layer = 4 * width * attention + 2 * width * inner + 2 * width
    return linear(colours * side * side, width, bias=False) + tables + depth(vision) * layer + width


def minimax(vision: Fields) -> int:
    """MiniMax M3's encoder: patches of two frames, rotary positions, a norm before the layers."""
    width, inner = vision.size("hidden_size"), vision.size("intermediate_size")
    patch = _qwen_patch(vision, width, bias=False)
    return patch + 2 * width + depth(vision) * block(width, inner)


def qwen2(vision: Fields) -> int:
    """Qwen2-VL's encoder, with its merger but the last layer."""
    width = vision.size("embed_dim")
    ratio = vision.size("mlp_ratio", default=4)
    merged = width * vision.size("spatial_merge_size", default=MERGED) ** 2
    patch = _qwen_patch(vision, width, bias=False)
    return patch + depth(vision) * block(width, ratio * width) + 2 * width + linear(merged, merged)


def qwen2_5(vision: Fields) -> int:
    """Qwen2.5-VL's encoder: norms without bias, gated layers; the last layer of its merger apart."""
    width = vision.size("hidden_size")
    inner = vision.size("intermediate_size")
    merged = width * vision.size("spatial_merge_size", default=MERGED) ** 2
    layer = block(width, inner, gated=True, norm_size=1)
    return _qwen_patch(vision, width, bias=False) + depth(vision) * layer + width + linear(merged, merged)


def qwen3(vision: Fields, default_taps: Collection[int] = ()) -> int:
    """Encoder of Qwen3-VL and Qwen3.5: learned positions, and mergers at several depths.

    Check: Qwen3.5-397B-A17B, 456 010 480 parameters in transformers' own model.
    """
    width = vision.size("hidden_size")
    merged = width * vision.size("spatial_merge_size", default=MERGED) ** 2
    positions = vision.size("num_position_embeddings", default=2304) * width
    stated = vision.states("deepstack_visual_indexes")
    taps = vision.chosen_layers("deepstack_visual_indexes", MOST_LAYERS) if stated else default_taps
    output = vision.size("out_hidden_size")
    tap = 2 * merged + linear(merged, merged) + linear(merged, output)
    body = (
        _qwen_patch(vision, width, bias=True)
        + positions
        + depth(vision) * block(width, vision.size("intermediate_size"))
    )
    return body + 2 * width + linear(merged, merged) + linear(merged, output) + len(taps) * tap


def _qwen_patch(vision: Fields, width: int, *, bias: bool) -> int:
    colours, side = patches(vision)
    frames = vision.size("temporal_patch_size", default=2)
    return linear(colours * frames * side * side, width, bias=bias)


def gemma4(vision: Fields) -> int:
    """Gemma 4's encoder: gated layers with four norms and normed heads, two tables of positions.

    Check: Gemma 4 26B-A4B, 572 792 112 parameters with its projection, in transformers' own model.
    """
    width = vision.size("hidden_size")
    colours, side = patches(vision)
    heads_normed = 2 * vision.size("head_dim")
    layer = block(width, vision.size("intermediate_size"), bias=False, gated=True) + heads_normed
    standardised = 2 * width if vision.flag("standardize", default=False) else 0
    tables = 2 * vision.size("position_embedding_size", default=10_240) * width
    patch = linear(colours * side * side, width, bias=False)
    return tables + patch + depth(vision) * layer + standardised


def llama4(vision: Fields) -> int:
    """Llama 4's encoder, with the adapter behind it."""
    width, inner = vision.size("hidden_size"), vision.size("intermediate_size")
    colours, side = patches(vision)
    count = patch_count(vision, side)
    embedding = linear(colours * side * side, width, bias=False) + (count + 2) * width
    middle = vision.size("projector_input_dim", default=4096)
    last = vision.size("projector_output_dim", default=4096)
    adapter = linear(inner, middle, bias=False) + linear(middle, last, bias=False)
    return embedding + depth(vision) * block(width, inner) + 4 * width + adapter


def internvit(vision: Fields) -> int:
    """InternViT: a class token, scaled branches, biases as stated."""
    width, inner = vision.size("hidden_size"), vision.size("intermediate_size")
    colours, side = patches(vision)
    count = patch_count(vision, side)
    norm_size = 1 if vision.text("norm_type", ("layer_norm", "rms_norm"), "layer_norm") == "rms_norm" else 2
    unbiased = 0 if vision.flag("qkv_bias", default=True) else 3 * width
    normed_heads = 2 * width if vision.flag("qk_normalization", default=False) else 0
    layer = block(width, inner, norm_size=norm_size) - unbiased + normed_heads + 2 * width
    return linear(colours * side * side, width) + (count + 2) * width + depth(vision) * layer
