"""How a checkpoint stores its weights, out of ``quantization_config`` and ``torch_dtype``."""

from collections.abc import Mapping

from domain.catalog.huggingface.fields import Fields
from domain.catalog.model import StoredWeights

DTYPES: Mapping[str, str] = {
    "bfloat16": "bf16",
    "float16": "fp16",
    "half": "fp16",
    "float32": "fp32",
    "float": "fp32",
    "float8_e4m3fn": "fp8",
}
WHOLE = 16
"""Bits of a checkpoint that nobody quantised."""


def stored_weights(outer: Fields, text: Fields) -> StoredWeights:
    """Read the published format; BF16 where the config states none."""
    format_id = _dtype(outer, text)
    quantization = outer.inside("quantization_config") or text.inside("quantization_config")
    if quantization is None:
        return StoredWeights(number_format=format_id)
    return _quantized(quantization, format_id, text)


def _dtype(outer: Fields, text: Fields) -> str:
    choices = (*DTYPES, "auto")
    stated = [fields.text(name, choices) for fields in (text, outer) for name in ("torch_dtype", "dtype")]
    named = [name for name in stated if name and name != "auto"]
    if not named:
        outer.remark("The config states no torch_dtype; BF16 is taken.")
        return "bf16"
    return DTYPES[named[0]]
