"""How a checkpoint stores its weights, out of ``quantization_config`` and ``torch_dtype``."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from domain.catalog.huggingface.exclusions import QUANTIZABLE, component_of, excluded_components
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
EXPERTS_ALONE = frozenset({"mxfp4", "int4_g32"})
"""Formats that quantise routed experts alone unless the checkpoint says otherwise."""
METHODS = (
    *(
        "fp8",
        "fbgemm_fp8",
        "deepseek_v4_fp8",
        "compressed-tensors",
        "mxfp4",
        "modelopt",
        "modelopt_fp4",
        "modelopt_mixed",
    ),
    *("mxfp8", "awq", "gptq", "auto-round", "bitsandbytes", "quark", "gptq_marlin", "awq_marlin", "compressed_tensors"),
)
MODELOPT_FORMATS: Mapping[str, str] = {"NVFP4": "nvfp4", "FP8": "fp8", "W4A16_AWQ": "int4_awq", "NVFP4_AWQ": "nvfp4"}
QUARK_FORMATS: Mapping[str, str] = {
    "fp4": "mxfp4",
    "fp8_e4m3": "fp8",
    "int8": "int8",
    "int4": "int4_awq",
    "uint4": "int4_awq",
}
EXCLUSIONS = (
    "modules_to_not_convert",
    "ignored_layers",
    "ignore",
    "exclude_modules",
    "exclude",
    "llm_int8_skip_modules",
)
MIXED = "MIXED_PRECISION"
NAMES_OF_FORMATS = ("nvfp4", "mxfp4", "fp8", "int8", "int4", "w8a8", "w4a16", "awq", "gptq", "gguf", "bnb")
SMALL_GROUP = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The format of quantised weights, and whether every linear layer has it."""

    number_format: str
    whole_model: bool = True
    by_component: tuple[tuple[str, str], ...] = ()
    """Components in another format, where the config lists them."""


def stored_weights(outer: Fields, text: Fields, layer_count: int, model_id: str) -> StoredWeights:
    """Read the published format; BF16, with a remark, where the config states none."""
    plain = _dtype(outer, text)
    quantization = outer.inside("quantization_config") or text.inside("quantization_config")
    if quantization is None:
        _remark_on_name(outer, model_id, plain)
        return StoredWeights(number_format=plain)
    found = _found(quantization)
    if found is None:
        return StoredWeights(number_format=plain)
    return StoredWeights(
        number_format=found.number_format,
        by_component=_by_component(quantization, found, plain, layer_count),
    )


def _dtype(outer: Fields, text: Fields) -> str:
    choices = (*DTYPES, "auto")
    stated = [fields.text(name, choices) for fields in (text, outer) for name in ("torch_dtype", "dtype")]
    named = [name for name in stated if name and name != "auto"]
    if not named:
        outer.remark("The config states no torch_dtype; BF16 is taken.")
        return "bf16"
    return DTYPES[named[0]]


def _remark_on_name(fields: Fields, model_id: str, plain: str) -> None:
    named = [name for name in NAMES_OF_FORMATS if name in model_id.lower()]
    if named and not fields.has("quantization_config"):
        fields.remark(
            f"The name says {named[0].upper()}, but the config holds no quantization_config (it may stand in a file "
            f"beside it): the weights are taken as {plain.upper()}."
        )


def _found(quantization: Fields) -> Found | None:
    """Tell the format from the method; None where it cannot be told, which is then a problem of a named field."""
    method = quantization.text("quant_method", METHODS)
    if not method and not quantization.problems:
        return _without_method(quantization)
    match method.replace("_marlin", "").replace("compressed_tensors", "compressed-tensors"):
        case "fp8" | "fbgemm_fp8" | "deepseek_v4_fp8":
            return Found(number_format="fp8")
        case "mxfp8":
            quantization.remark("MXFP8 is counted as FP8 in blocks of 128 x 128; its scales take 3 % more.")
            return Found(number_format="fp8")
        case "mxfp4":
            return Found(number_format="mxfp4", whole_model=False)
        case "awq" | "gptq" | "auto-round" as known:
            return _by_bits(quantization, "int4_gptq" if known == "gptq" else "int4_awq")
        case "bitsandbytes":
            return _bitsandbytes(quantization)
        case "compressed-tensors":
            return _compressed_tensors(quantization)
        case "modelopt" | "modelopt_fp4" | "modelopt_mixed":
            return _modelopt(quantization)
        case "quark":
            return _quark(quantization)
        case _:
            return None


def _without_method(quantization: Fields) -> Found | None:
    if quantization.has("quant_algo"):
        return _modelopt(quantization)
    if quantization.has("config_groups"):
        return _compressed_tensors(quantization)
    quantization.refuse("quant_method", " or ".join(METHODS))
    return None


def _by_bits(quantization: Fields, four_bit: str) -> Found | None:
    bits = quantization.size("bits", "w_bit", default=4, least=2, most=16)
    formats = {4: four_bit, 8: "int8"}
    if bits not in formats:
        quantization.refuse("bits", "4 or 8")
        return None
    return Found(number_format=formats[bits])


def _bitsandbytes(quantization: Fields) -> Found | None:
    if quantization.flag("load_in_8bit", default=False) or quantization.flag("_load_in_8bit", default=False):
        return Found(number_format="int8")
    if quantization.flag("load_in_4bit", default=False) or quantization.flag("_load_in_4bit", default=False):
        quantization.remark("NF4 of bitsandbytes is counted as INT4 in groups of 128.")
        return Found(number_format="int4_awq")
    quantization.refuse("load_in_4bit", "true, or load_in_8bit")
    return None


def _compressed_tensors(quantization: Fields) -> Found | None:
    """Formats of all groups of layers; experts in one format and the rest in another is told by the first group."""
    groups = quantization.inside("config_groups")
    if groups is None:
        quantization.refuse("config_groups", "an object with at least one group")
        return None
    formats = [found for found in map(_group_format, _parts(groups)) if found]
    if not formats:
        quantization.refuse("config_groups", "groups whose weights state num_bits 4 or 8 and type int or float")
        return None
    if len(set(formats)) > 1:
        quantization.remark(
            f"Weights are stored in {' and '.join(sorted(set(formats)))}; all are counted as {formats[0]}."
        )
    return Found(number_format=formats[0])


def _parts(groups: Fields) -> Iterable[Fields]:
    for name in groups.names():
        group = groups.inside(name)
        weights = group.inside("weights") if group else None
        if weights is not None:
            yield weights


def _group_format(weights: Fields) -> str | None:
    bits = weights.size("num_bits", default=8, least=1, most=16)
    kind = weights.text("type", ("int", "float"), "int")
    group = weights.optional_size("group_size", least=-1) or 0
    match (kind, bits):
        case ("float", 8):
            return "fp8"
        case ("int", 8):
            return "int8"
        case ("float", 4):
            return "mxfp4" if group >= SMALL_GROUP else "nvfp4"
        case ("int", 4):
            return "int4_g32" if group == SMALL_GROUP else "int4_awq"
        case _:
            return None


def _modelopt(quantization: Fields) -> Found | None:
    inner = quantization.inside("quantization") or quantization
    if not inner.has("quant_algo") and inner.has("config_groups"):
        return _compressed_tensors(inner)
    if inner.raw("quant_algo") == MIXED:
        return _mixed(inner)
    algorithm = inner.text("quant_algo", MODELOPT_FORMATS)
    if not algorithm:
        inner.refuse("quant_algo", " or ".join(MODELOPT_FORMATS))
        return None
    return Found(number_format=MODELOPT_FORMATS[algorithm])


def _mixed(quantization: Fields) -> Found | None:
    """Tell each component's format from the list of quantised layers; routed experts lead, or the commonest."""
    layers = quantization.inside("quantized_layers")
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for name in layers.names() if layers else ():
        part = layers.inside(name) if layers else None
        algorithm = part.text("quant_algo", MODELOPT_FORMATS) if part else ""
        component = component_of(name)
        if algorithm and component:
            votes[component][MODELOPT_FORMATS[algorithm]] += 1
    formats = {component: counts.most_common(1)[0][0] for component, counts in votes.items()}
    if not formats:
        quantization.refuse("quantized_layers", "an object of modules, each with its quant_algo")
        return None
    leading = formats.get("routed_experts") or Counter(formats.values()).most_common(1)[0][0]
    others = tuple((name, formats.get(name, "bf16")) for name in QUANTIZABLE if formats.get(name) != leading)
    return Found(number_format=leading, whole_model=False, by_component=others)


def _quark(quantization: Fields) -> Found | None:
    whole = quantization.inside("global_quant_config")
    weight = whole.inside("weight") if whole else None
    kind = weight.text("dtype", QUARK_FORMATS) if weight else ""
    if not kind:
        quantization.refuse("global_quant_config", "an object whose weight.dtype is " + " or ".join(QUARK_FORMATS))
        return None
    return Found(number_format=QUARK_FORMATS[kind])


def _by_component(quantization: Fields, found: Found, plain: str, layer_count: int) -> tuple[tuple[str, str], ...]:
    """Components stored otherwise than the format usually has it, as (component, format)."""
    if not found.whole_model:
        return found.by_component
    excluded, partly = excluded_components(_exclusions(quantization), layer_count)
    for component in sorted(partly):
        quantization.remark(
            f"A few layers keep {component} in {plain.upper()}; they are counted as {found.number_format}."
        )
    if found.number_format in EXPERTS_ALONE:
        narrow = {*excluded, "routed_experts", "mtp"}
        return tuple((component, found.number_format) for component in QUANTIZABLE if component not in narrow)
    return tuple((component, plain) for component in QUANTIZABLE if component in excluded)


def _exclusions(quantization: Fields) -> list[str]:
    named: list[str] = []
    for name in EXCLUSIONS:
        value = quantization.raw(name)
        if value is None:
            continue
        if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
            named.extend(value)
        else:
            quantization.refuse(name, "a list of module names")
    return named
