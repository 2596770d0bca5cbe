"""Number formats: what an element of a weight or of a KV cache takes, and what it costs in quality."""

from dataclasses import dataclass
from typing import Literal

Quality = Literal["lossless", "near_lossless", "lossy"]
FormatPath = Literal["native", "weight_only", "converted", "no"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberFormat:
    """A way to store numbers."""

    id: str
    """``bf16``, ``fp16``, ``fp8``, ``int8``, ``int4_awq``, ``mxfp4``, ``nvfp4``, ``q4_k_m`` ..."""
    name: str
    storage_bits: float
    """Bits per element including scales and zero points (INT4 in groups of 128: 4.16)."""
    element_bits: float
    """Bits per element without scales."""
    compute_type: str
    """The `ComputeType` that multiplies it natively (``int8`` for W8A8, ``bf16`` for bf16)."""
    quality: Quality
    """Against the model's own published format, when weights are quantised to it after training."""
    for_weights: bool
    for_cache: bool
    kept_16bit: frozenset[str]
    """Components (see `domain.engine.model.Component`) that stay 16-bit in such a checkpoint."""
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatSupport:
    """Whether one serving engine runs one format on one generation of accelerators; a fact with a source."""

    engine: str
    engine_version: str
    """From this version on; empty where the source does not say."""
    generation: str
    number_format: str
    path: FormatPath
    source: str
    note: str
