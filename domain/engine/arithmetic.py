"""Which multiplications an accelerator can do with a stored format, whatever the model and the engine."""

from dataclasses import dataclass

from domain.catalog.accelerator import Accelerator
from domain.catalog.number_format import FormatSupport, NumberFormat
from domain.engine.precision import Path

SIXTEEN_BIT_FORMATS = ("bf16", "fp16")
FULL_FORMATS = ("bf16", "fp16", "fp32")
RUNS = ("native", "emulated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """One way of multiplying: how the stored format reaches the units."""

    path: Path
    """``native`` or ``weight_only``; what the checkpoint needs on top is decided with the model."""
    compute_type: str
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """What the accelerator lacks for a format."""

    code: str
    sentence: str


def working_type(accelerator: Accelerator) -> str:
    """The type in which 16-bit models are multiplied: BF16, else FP16, else FP32 where FP16 is slower (Pascal)."""
    if accelerator.support["bf16"] in RUNS:
        return "bf16"
    half, single = accelerator.peak_flops_per_s.get("fp16"), accelerator.peak_flops_per_s.get("fp32")
    if "fp16" in accelerator.peak_flops_per_s and (half is None or single is None or half >= single):
        return "fp16"
    return "fp32"


def arithmetics(
    accelerator: Accelerator, number_format: NumberFormat, rows: tuple[FormatSupport, ...]
) -> tuple[Arithmetic, ...] | Lacking:
    """Return the ways to multiply weights stored in ``number_format``, or what is lacking.

    ``rows`` are what is known of the format on the accelerator's generation.
    """
    if number_format.id in FULL_FORMATS:
        return _full(accelerator, number_format)
    if number_format.compute_type == "fp8":
        return _eight_bit_float(accelerator, number_format)
    if number_format.compute_type == "int8":
        return _eight_bit_integer(accelerator, number_format)
    return _narrow(accelerator, number_format, rows)


def _full(accelerator: Accelerator, number_format: NumberFormat) -> tuple[Arithmetic, ...] | Lacking:
    working = working_type(accelerator)
    if number_format.id == working or (number_format.id == "fp16" and working == "bf16"):
        return (Arithmetic(path="native", compute_type=number_format.id, remark=""),)
    if number_format.id == "fp32":
        return Lacking(
            code="WIDER_THAN_NEEDED",
            sentence=f"{working.upper()} runs, so FP32 would double the bytes for nothing.",
        )
    if number_format.id == "fp16":
        return Lacking(
            code="FP16_SLOWER_THAN_FP32",
            sentence=f"{accelerator.name} multiplies FP16 slower than FP32; run INT8, a 4-bit file, or FP32.",
        )
    return Lacking(
        code="NO_BF16_ON_ACCELERATOR",
        sentence=f"{accelerator.name} has no BF16 arithmetic; it runs {working.upper()}.",
    )


def _eight_bit_float(accelerator: Accelerator, number_format: NumberFormat) -> tuple[Arithmetic, ...] | Lacking:
    support = accelerator.support["fp8"]
    if support == "native":
        fnuz = "re-encoded from OCP to FNUZ FP8 when it is loaded" if accelerator.generation == "cdna3" else ""
        return (Arithmetic(path="native", compute_type=number_format.compute_type, remark=fnuz),)
    if support == "emulated":
        return (_dequantised(accelerator, f"no FP8 units on {accelerator.generation}"),)
    return Lacking(
        code="NO_FP8_ON_ACCELERATOR",
        sentence=f"{accelerator.name} has no FP8 path, neither in its units nor in a kernel.",
    )


def _eight_bit_integer(accelerator: Accelerator, number_format: NumberFormat) -> tuple[Arithmetic, ...] | Lacking:
    support = accelerator.support["int8"]
    if support not in RUNS:
        return Lacking(code="NO_INT8_ON_ACCELERATOR", sentence=f"{accelerator.name} has no INT8 arithmetic.")
    weight_only = _dequantised(accelerator, "W8A16: the same bytes as W8A8, 16-bit rate")
    if support == "native" and not _slower_than_working(accelerator, "int8"):
        whole = Arithmetic(
            path="native", compute_type=number_format.compute_type, remark="W8A8: activations are INT8 too"
        )
        return (whole, weight_only)
    return (weight_only,)


def _narrow(
    accelerator: Accelerator, number_format: NumberFormat, rows: tuple[FormatSupport, ...]
) -> tuple[Arithmetic, ...] | Lacking:
    if number_format.compute_type == "fp4" and any(row.path == "native" for row in rows):
        return (Arithmetic(path="native", compute_type="fp4", remark=""),)
    if any(row.path in {"weight_only", "native", "converted"} for row in rows):
        return (_dequantised(accelerator, "weights are expanded inside the kernel"),)
    if any(row.path == "no" for row in rows):
        return Lacking(
            code="NO_KERNEL_FOR_FORMAT",
            sentence=f"{number_format.name} is documented not to run on {accelerator.name}.",
        )
    if number_format.compute_type == "int4" and accelerator.support["int4"] in RUNS:
        return (_dequantised(accelerator, "the units would do it; no serving engine is known to"),)
    return Lacking(
        code="NO_KERNEL_KNOWN",
        sentence=f"No serving engine is known to run {number_format.name} on {accelerator.name}.",
    )


def _dequantised(accelerator: Accelerator, remark: str) -> Arithmetic:
    return Arithmetic(path="weight_only", compute_type=working_type(accelerator), remark=remark)


def _slower_than_working(accelerator: Accelerator, compute_type: str) -> bool:
    rate = accelerator.peak_flops_per_s.get(compute_type)
    working = accelerator.peak_flops_per_s.get(working_type(accelerator))
    return rate is not None and working is not None and rate < working
