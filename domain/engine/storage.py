"""What a parameter takes in memory, by component, for a model in a number format."""

from collections.abc import Iterable, Mapping
from typing import get_args

from domain.catalog.model import Model
from domain.catalog.number_format import NumberFormat
from domain.engine.model import Component, WeightPart

COMPONENTS: tuple[Component, ...] = get_args(Component)
SIXTEEN_BITS_IN_BYTES = 2.0
WIDE_FORMATS = ("fp32",)
BITS_PER_BYTE = 8.0


def component_bytes(
    model: Model, number_format: NumberFormat, formats: Mapping[str, NumberFormat]
) -> dict[Component, float]:
    """Bytes per matrix element of each component when ``model`` is held in ``number_format``.

    Scales and zero points are inside. A checkpoint in its published format keeps what its publisher kept;
    otherwise the format's own list of 16-bit components applies. Towers stay as published.
    """
    scheme = dict.fromkeys(COMPONENTS, number_format.storage_bits / BITS_PER_BYTE)
    for component in COMPONENTS:
        if component in number_format.kept_16bit or component == "tower":
            scheme[component] = sixteen_bit_bytes(number_format)
    if number_format.id == model.stored.number_format:
        kept = dict(model.stored.by_component)
        for component in COMPONENTS:
            if component in kept:
                scheme[component] = formats[kept[component]].storage_bits / BITS_PER_BYTE
    return scheme


def sixteen_bit_bytes(number_format: NumberFormat) -> float:
    """Bytes of an element that the format leaves alone: 2, or 4 where everything is 32-bit."""
    return number_format.storage_bits / BITS_PER_BYTE if number_format.id in WIDE_FORMATS else SIXTEEN_BITS_IN_BYTES


def part_bytes(part: WeightPart, scheme: Mapping[Component, float]) -> float:
    """Bytes of one part; vectors (norms, biases, scales) stay 16-bit at least."""
    if part.matrix:
        return part.parameter_count * scheme[part.component]
    return part.parameter_count * max(scheme[part.component], SIXTEEN_BITS_IN_BYTES)


def stored_bytes(parts: Iterable[WeightPart], scheme: Mapping[Component, float], *, with_mtp: bool = False) -> float:
    """Bytes of the whole model; MTP modules count when they are loaded for speculation."""
    return sum(part_bytes(part, scheme) for part in parts if with_mtp or part.component != "mtp")
