"""How figures read in a sentence; the numbers themselves stay in base units."""

from fractions import Fraction

GIGA = 1e9
KILO_STEP = 1000.0
ONE_DECIMAL_FROM = 0.1
LEAST_SHOWN = 0.001
LARGEST_NODE = 1000
WHOLE_FROM = 100.0


def in_gb(size_bytes: float) -> str:
    """Return ``size_bytes`` in decimal gigabytes, such as ``685.9 GB``, ``1 342 GB`` or ``0.043 GB``."""
    gigabytes = size_bytes / GIGA
    if abs(gigabytes) >= KILO_STEP:
        return f"{gigabytes:,.0f} GB".replace(",", " ")
    if 0.0 < abs(gigabytes) < LEAST_SHOWN:
        return f"under {LEAST_SHOWN} GB"
    return f"{gigabytes:.1f} GB" if gigabytes == 0.0 or abs(gigabytes) >= ONE_DECIMAL_FROM else f"{gigabytes:.3f} GB"


def in_tflops(rate_flops_per_s: float) -> str:
    """Return a rate in TFLOPS, such as ``989 TFLOPS``."""
    tera = rate_flops_per_s / 1e12
    return f"{tera:,.0f} TFLOPS".replace(",", " ") if tera >= WHOLE_FROM else f"{tera:.3g} TFLOPS"


def counted(count: int, noun: str) -> str:
    """Return ``1 node`` or ``3 nodes``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def in_nodes(node_count: float) -> str:
    """Return ``2 nodes``, ``1.5 nodes`` or ``3/8 of a node``."""
    if node_count == int(node_count):
        return counted(int(node_count), "node")
    if node_count < 1.0:
        return f"{Fraction(node_count).limit_denominator(LARGEST_NODE)} of a node"
    return f"{node_count:.3f}".rstrip("0") + " nodes"
