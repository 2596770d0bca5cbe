"""Which components of a quantised checkpoint were left 16-bit, out of its list of excluded modules."""

import re
from collections import defaultdict
from collections.abc import Iterable

QUANTIZABLE = ("attention", "dense_ffn", "shared_experts", "routed_experts", "mtp")
"""Components that quantisers reach; tables, norms and routers are the number format's business."""

LAYER_NUMBER = re.compile(r"layers\.(\d{1,4})(?=\D|$)")
PROJECTION = re.compile(r"([a-z0-9_]+_proj|qkv|wo|wq|wkv|w1|w2|w3|proj|dense|fc1|fc2)\b")
WHOLE_PROJECTIONS = 3
"""Projections named one by one that make a whole component."""


def excluded_components(modules: Iterable[str], layer_count: int) -> tuple[frozenset[str], frozenset[str]]:
    """Return the components left out in at least half of the layers, and those left out in fewer.

    Patterns are read, never run: a checkpoint may hold any regular expression.
    """
    layers: dict[str, dict[int | None, set[str]]] = defaultdict(lambda: defaultdict(set))
    for module in modules:
        component = component_of(module)
        if component:
            layers[component][_layer_of(module)].add(_projection_of(module))
    whole: set[str] = set()
    part: set[str] = set()
    for component, by_layer in layers.items():
        covered = _covered_layers(by_layer, layer_count)
        (whole if 2 * covered >= layer_count else part).add(component)
    return frozenset(whole), frozenset(part)


def component_of(module: str) -> str | None:
    """Return the component that a module, or a pattern of modules, belongs to; None for towers, tables and routers."""
    name = module.lower().replace("\\", "")
    if any(word in name for word in ("visual", "vision", "lm_head", "embed", "projector", "norm", "audio")):
        return None
    if "mtp" in name or "nextn" in name or "eh_proj" in name:
        return "mtp"
    if "shared" in name:
        return None if name.endswith("gate") else "shared_experts"
    if "experts" in name:
        return "routed_experts"
    if "attn" in name or "attention" in name or "mixer" in name:
        return "attention"
    if "mlp" in name or "feed_forward" in name or "ffn" in name:
        return None if name.rstrip("*$.").endswith(("gate", "router")) else "dense_ffn"
    return None


def _layer_of(module: str) -> int | None:
    found = LAYER_NUMBER.search(module.replace("\\", ""))
    return int(found[1]) if found else None


def _projection_of(module: str) -> str:
    found = PROJECTION.search(module.replace("\\", ""))
    return found[1] if found and "|" not in module else ""


def _covered_layers(by_layer: dict[int | None, set[str]], layer_count: int) -> int:
    if _is_whole(by_layer.get(None, set())):
        return layer_count
    return sum(1 for layer, names in by_layer.items() if layer is not None and _is_whole(names))


def _is_whole(projections: set[str]) -> bool:
    return "" in projections or len(projections) >= WHOLE_PROJECTIONS
