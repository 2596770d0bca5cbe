"""Ways to run a model on an accelerator: which stored format, which arithmetic, at what quality."""

from dataclasses import dataclass
from typing import Literal

from domain.catalog.number_format import Quality

Policy = Literal["lossless", "allow_8bit", "allow_4bit"]
"""What the caller accepts; each includes the ones before it."""

Path = Literal["native", "weight_only", "converted", "quantized"]
"""``native`` runs as stored; ``weight_only`` stores it so and multiplies in 16 bits; ``converted`` rewrites the
checkpoint without loss; ``quantized`` needs another checkpoint made by quantisation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSupport:
    """Whether one serving engine is known to run a way; ``not known`` is not ``no``."""

    engine: str
    engine_version: str
    answer: Literal["yes", "no", "not_known"]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to run the model on the accelerator."""

    number_format: str
    path: Path
    quality: Quality
    compute_type: str
    weights_bytes: float
    """Of the whole model, without MTP modules."""
    peak_flops_per_s: float | None
    """Dense peak of ``compute_type``, whole card; None where the catalog does not know it."""
    engines: tuple[EngineSupport, ...]
    requires: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedFormat:
    """A format that the accelerator or the policy rules out, and why."""

    number_format: str
    code: str
    """Reason in UPPER_SNAKE, such as ``NO_BF16_ON_ACCELERATOR``."""
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionAnswer:
    """Every way, best first (quality, then bytes, then rate), and every refused format."""

    model: str
    accelerator: str
    policy: Policy
    ways: tuple[Way, ...]
    refused: tuple[RefusedFormat, ...]
    facts: tuple[str, ...]
    """Paths of the catalog facts that were read."""
