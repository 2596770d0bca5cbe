"""Between which values a number of the catalog can lie, told from the unit at the end of its name."""

import math

LIMITS: tuple[tuple[str, float, float], ...] = (
    # The longest ending that matches decides. Bounds are wide: they catch a wrong unit or a slip, not a wrong figure.
    ("memory_bytes", 1e9, 1e15),
    ("_bytes_per_s", 1e8, 1e14),
    ("_flops_per_s", 1e9, 1e17),
    ("_usd_per_hour", 1e-3, 1e3),
    ("_bytes_per_entry", 0.0, 100.0),
    ("element_bytes", 0.5, 8.0),
    ("_bytes", 0.0, 1e15),
    ("_bits", 1.0, 32.0),
    ("_fraction", 0.01, 1.0),
    ("_w", 1.0, 1e6),
    ("_count", 0.0, 1e13),
    ("_tokens", 1.0, 1e8),
)
ANY = (0.0, math.inf)


def bounds(name: str) -> tuple[float, float]:
    """Return the least and the most that a number of this name can be."""
    fitting = [limit for limit in LIMITS if name.endswith(limit[0])]
    if not fitting:
        return ANY
    _, least, most = max(fitting, key=lambda limit: len(limit[0]))
    return least, most


def misfit(name: str, value: float) -> str:
    """Return what is wrong with ``value`` under this name, or nothing."""
    if not math.isfinite(value):
        return f"{value} is not a finite number"
    least, most = bounds(name)
    if not least <= value <= most:
        return f"{value:g} is out of range ({least:g} to {most:g}, in the unit of the name)"
    return ""
