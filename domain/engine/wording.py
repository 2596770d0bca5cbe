"""How figures read in a sentence; the numbers themselves stay in base units."""

GIGA = 1e9
KILO_STEP = 1000.0
WHOLE_FROM = 100.0


def in_gb(size_bytes: float) -> str:
    """Return ``size_bytes`` in decimal gigabytes, such as ``685.9 GB`` or ``1 342 GB``."""
    gigabytes = size_bytes / GIGA
    if abs(gigabytes) >= KILO_STEP:
        return f"{gigabytes:,.0f} GB".replace(",", " ")
    return f"{gigabytes:.1f} GB"


def in_tflops(rate_flops_per_s: float) -> str:
    """Return a rate in TFLOPS, such as ``989 TFLOPS``."""
    tera = rate_flops_per_s / 1e12
    return f"{tera:,.0f} TFLOPS".replace(",", " ") if tera >= WHOLE_FROM else f"{tera:.3g} TFLOPS"


def counted(count: int, noun: str) -> str:
    """Return ``1 node`` or ``3 nodes``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
