"""What articles and papers claim about hardware, memory, formats and deployments, and what is answered here.

Every claim stands in the data beside this file with what is right and where that is from. ``accelerators.csv`` holds
plain figures of one accelerator or node; the other files hold claims whose ``expect`` lists what must come out:

field, first_year, same, differences, node_memory, storage_bits, quality   what the catalog states
parameters, layers, stored, weights, mtp_bytes, held, kv_per_token, kv_saving, format_ratio   what a model takes
precision, two_ways   which ways an accelerator has
check, size, every_precision   what fits where

A claim that nothing here can judge is listed with the reason, in ``out_of_scope``.
"""

import csv
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from domain.catalog.accelerator import Accelerator, Node
from domain.catalog.model import LatentAttention, MixtureOfExperts
from domain.engine.answer import (
    CheckAnswer,
    CheckRequest,
    Deployment,
    SizeRequest,
    check,
    resolve_precision,
    size,
)
from domain.engine.model import cache_bytes_per_token, parameter_counts, weight_parts
from domain.engine.storage import component_bytes, stored_bytes
from tests.release import catalog

HERE = Path(__file__).parent
FILES = ("hardware", "memory", "quantization", "minimum_deployment")
CLAIM_COUNTS = {"hardware": 104, "memory": 27, "quantization": 15, "min-deployment": 35}
MOST_OUT_OF_SCOPE = 16
VERDICTS = {"holds", "wrong", "depends"}
SIXTEEN_BIT_BYTES = 2.0

Expected = Mapping[str, Any]


@cache
def figures() -> tuple[dict[str, str], ...]:
    with (HERE / "accelerators.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def claims() -> tuple[dict[str, Any], ...]:
    files = (tomllib.loads((HERE / f"{name}.toml").read_text(encoding="utf-8")) for name in FILES)
    return tuple(claim for file in files for claim in file["claim"])


def judged_claims() -> list[dict[str, Any]]:
    return [claim for claim in claims() if "out_of_scope" not in claim]


def value_of(subject: str, field: str) -> object:
    """Return a field of an accelerator or node; rates by their name, ``unsupported`` where there is none."""
    content = catalog()
    kind, _, name = subject.rpartition("/")
    entry: Accelerator | Node = content.nodes[name] if kind == "nodes" else content.accelerators[name]
    if isinstance(entry, Node):
        return getattr(entry, field)
    if field.endswith("_flops_per_s"):
        return entry.peak_flops_per_s.get(field.removesuffix("_flops_per_s"), "unsupported")
    if field.startswith("support."):
        return entry.support[field.removeprefix("support.")]
    if field.startswith("link_"):
        rate = getattr(entry.link, field.removeprefix("link_"))
        return "unsupported" if rate is None else rate
    return getattr(entry, field)


def is_within(value: float, expected: Expected) -> bool:
    """Whether ``value`` is what was expected: ``value`` (``within`` a share of it), or from ``least`` to ``most``."""
    if "value" in expected:
        allowed = expected["value"] * expected.get("within", 0.0)
        return bool(abs(value - expected["value"]) <= allowed)
    return bool(expected.get("least", 0.0) <= value <= expected.get("most", float("inf")))


def figure(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


# What the catalog states.


def field(expected: Expected) -> None:
    assert value_of(expected["subject"], expected["field"]) == expected["value"]


def first_year(expected: Expected) -> None:
    cards = catalog().accelerators.values()
    years = [card.release_year for card in cards if card.architecture.startswith(expected["architecture"])]
    assert min(years) == expected["year"]


def same(expected: Expected) -> None:
    for name in expected["fields"]:
        assert value_of(expected["one"], name) == value_of(expected["other"], name), name


def differences(expected: Expected) -> None:
    plain = ("memory_bytes", "memory_bandwidth_bytes_per_s", "memory_type", "tdp_w", "devices_per_card")
    links = ("link_name", "link_bidirectional_bytes_per_s", "link_unidirectional_bytes_per_s", "link_domain_size")
    peaks = [f"{name}_flops_per_s" for name in catalog().accelerators[expected["one"]].peak_flops_per_s]
    differing = {
        name
        for name in (*plain, *links, *peaks)
        if name != "link_name" and value_of(expected["one"], name) != value_of(expected["other"], name)
    }
    assert differing == set(expected["fields"])


def node_memory(expected: Expected) -> None:
    node = catalog().nodes[expected["node"]]
    assert node.accelerator_count * catalog().accelerators[node.accelerator].memory_bytes == expected["bytes"]


def storage_bits(expected: Expected) -> None:
    assert is_within(catalog().number_formats[expected["format"]].storage_bits, expected)


def quality(expected: Expected) -> None:
    assert catalog().number_formats[expected["format"]].quality == expected["quality"]


# What a model takes.


def weights_bytes(model: str, number_format: str, *, with_mtp: bool = False) -> float:
    content = catalog()
    known, stored = content.model(model), content.number_formats[number_format]
    scheme = component_bytes(known, stored, content.number_formats)
    return stored_bytes(weight_parts(known), scheme, with_mtp=with_mtp)


def parameters(expected: Expected) -> None:
    counts = parameter_counts(catalog().model(expected["model"]))
    for name in ("total", "active", "active_without_input_embedding", "mtp"):
        if name in expected:
            assert getattr(counts, name) == pytest.approx(expected[name], rel=expected["within"]), name


def layers(expected: Expected) -> None:
    model = catalog().model(expected["model"])
    with_experts = [kind for kind in model.pattern if isinstance(model.layers[kind].feed_forward, MixtureOfExperts)]
    assert (model.layer_count, len(with_experts)) == (expected["count"], expected["with_experts"])


def stored(expected: Expected) -> None:
    assert catalog().model(expected["model"]).stored.number_format == expected["format"]


def weights(expected: Expected) -> None:
    assert is_within(weights_bytes(expected["model"], expected["format"]), expected)


def mtp_bytes(expected: Expected) -> None:
    model, number_format = expected["model"], expected["format"]
    added = weights_bytes(model, number_format, with_mtp=True) - weights_bytes(model, number_format)
    assert is_within(added, expected)


def held(expected: Expected) -> None:
    """Weights and the cache of one sequence of 5 120 tokens."""
    model = catalog().model(expected["model"])
    cache_bytes = 5120 * cache_bytes_per_token(model, SIXTEEN_BIT_BYTES)
    assert is_within(weights_bytes(expected["model"], expected["format"]) + cache_bytes, expected)


def kv_per_token(expected: Expected) -> None:
    assert cache_bytes_per_token(catalog().model(expected["model"]), SIXTEEN_BIT_BYTES) == expected["bytes"]


def kv_saving(expected: Expected) -> None:
    model = catalog().model(expected["model"])
    if expected["against"] == "its heads in full":
        heads = next(layer.attention for layer in model.layers if isinstance(layer.attention, LatentAttention))
        baseline = model.layer_count * 2 * heads.head_count * heads.value_head_dim * SIXTEEN_BIT_BYTES
    else:
        baseline = cache_bytes_per_token(catalog().model(expected["against"]), SIXTEEN_BIT_BYTES)
    saving = 1.0 - cache_bytes_per_token(model, expected["bits"] / 8.0) / baseline
    assert saving == pytest.approx(expected["value"], abs=expected["within"])


def format_ratio(expected: Expected) -> None:
    model = expected["model"]
    assert is_within(weights_bytes(model, expected["one"]) / weights_bytes(model, expected["other"]), expected)


# Which ways an accelerator has.


def precision(expected: Expected) -> None:
    answer = resolve_precision(
        catalog(), expected["model"], expected["accelerator"], expected.get("policy", "allow_8bit")
    )
    if "refused" in expected:
        refused = {refusal.number_format: refusal.code for refusal in answer.refused}
        assert refused[expected["refused"]] == expected["code"]
        assert expected["refused"] not in {way.number_format for way in answer.ways}
        return
    formats = [way.number_format for way in answer.ways]
    wanted = expected.get("way") or expected["first"]
    way = answer.ways[formats.index(wanted)]
    assert way.path == expected["path"]
    assert way.compute_type == expected.get("compute_type", way.compute_type)
    if "first" in expected:
        assert formats[0] == expected["first"]
    if "before" in expected:
        assert formats.index(wanted) < formats.index(expected["before"])
    if "engine" in expected:
        assert expected["engine"] in {support.answer for support in way.engines}


def two_ways(expected: Expected) -> None:
    """The format is multiplied whole or expanded to 16 bits: the same bytes, the first at the higher peak."""
    answer = resolve_precision(catalog(), expected["model"], expected["accelerator"], "allow_8bit")
    whole, expanded = (way for way in answer.ways if way.number_format == expected["format"])
    assert (whole.path, expanded.path) == ("quantized", "weight_only")
    assert whole.weights_bytes == expanded.weights_bytes
    assert (whole.peak_flops_per_s or 0.0) > (expanded.peak_flops_per_s or 0.0)


# What fits where.


def checked(expected: Expected, number_format: str | None) -> CheckAnswer:
    optional = {name: expected[name] for name in ("tensor_parallel", "policy") if name in expected}
    request = CheckRequest(
        model=expected["model"],
        accelerator=expected["accelerator"],
        accelerator_count=expected["count"],
        weight_format=number_format,
        **optional,
    )
    return check(catalog(), request)


def reaches(expected: Expected, answer: CheckAnswer) -> None:
    verdicts = expected["verdict"] if isinstance(expected["verdict"], list) else [expected["verdict"]]
    assert answer.verdict in verdicts, answer.sentence
    codes = {reason.code for reason in answer.reasons}
    assert expected.get("reason") in codes | {None}, answer.reasons


def check_(expected: Expected) -> None:
    answer = checked(expected, expected["format"])
    reaches(expected, answer)
    offered = {(one.way.number_format, one.accelerator_count) for one in answer.smaller_or_larger}
    assert {(name, count) for name, count in expected.get("offered", [])} <= offered
    if expected.get("shortfall"):
        assert any((reason.bytes or 0.0) > 0.0 for reason in answer.reasons)
    if "layout" in expected:
        assert degrees(answer.deployment) == expected["layout"]
    if "tokens" in expected:
        assert answer.deployment is not None
        least, most = expected["tokens"]
        assert least <= answer.deployment.memory.kv_capacity_tokens <= most


def degrees(deployment: Deployment | None) -> list[int]:
    assert deployment is not None
    return [deployment.layout.tensor_parallel, deployment.layout.pipeline_parallel]


def every_precision(expected: Expected) -> None:
    """All ways of the policy are refused for the same reason, and none is offered on so few cards."""
    ways = resolve_precision(catalog(), expected["model"], expected["accelerator"], expected["policy"]).ways
    assert {way.number_format for way in ways} >= {"bf16", "int8", "int4_awq"}
    for way in ways:
        answer = checked(expected, way.number_format)
        reaches(expected, answer)
        assert all(one.accelerator_count > expected["count"] for one in answer.smaller_or_larger)


def size_(expected: Expected) -> None:
    request = SizeRequest(
        model=expected["model"], accelerators=(expected["accelerator"],), weight_format=expected["format"]
    )
    answer = size(catalog(), request)
    candidate = (*answer.candidates, *answer.unpriced)[0]
    found = {
        "by_memory": candidate.smallest_by_memory,
        "deployable": candidate.smallest_deployable,
        "recommended": candidate.recommended,
    }
    for name, deployment in found.items():
        if name in expected:
            assert deployment is not None
            assert deployment.accelerator_count == expected[name], deployment
        if f"{name}_layout" in expected:
            assert degrees(deployment) == expected[f"{name}_layout"]
    if "nodes" in expected:
        best = candidate.recommended or candidate.smallest_deployable
        assert best is not None
        assert best.node_count == expected["nodes"]
    assert expected.get("reason") in {reason.code for reason in candidate.reasons} | {None}


PREDICATES: dict[str, Callable[[Expected], None]] = {
    predicate.__name__.rstrip("_"): predicate
    for predicate in (
        *(field, first_year, same, differences, node_memory, storage_bits, quality),
        *(parameters, layers, stored, weights, mtp_bytes, held, kv_per_token, kv_saving, format_ratio),
        *(precision, two_ways, check_, size_, every_precision),
    )
}


@pytest.mark.parametrize("row", figures(), ids=lambda row: row["id"])
def test_the_catalog_states_the_right_figure_and_shows_the_wrong_ones(row):
    right, claimed = figure(row["expected"]), figure(row["claimed"])
    assert value_of(row["subject"], row["field"]) == right
    if isinstance(right, float) and isinstance(claimed, float):
        agrees = abs(claimed / right - 1.0) <= float(row["rounding"] or 0.0)
    else:
        agrees = claimed == right
    assert agrees or row["verdict"] != "holds"
    assert not agrees or row["verdict"] != "wrong"


@pytest.mark.parametrize("claim", judged_claims(), ids=lambda claim: claim["id"])
def test_the_answer_is_the_right_one_whatever_was_claimed(claim):
    assert claim["expect"]
    for expected in claim["expect"]:
        PREDICATES[expected["kind"]](expected)


def test_every_claim_is_judged_or_listed_with_the_reason_why_not():
    counts = Counter(claim["category"] for claim in claims())
    counts["hardware"] += len(figures())
    assert counts == CLAIM_COUNTS
    out_of_scope = [claim for claim in claims() if "out_of_scope" in claim]
    assert len(out_of_scope) <= MOST_OUT_OF_SCOPE
    assert all(claim["out_of_scope"].endswith(".") and "expect" not in claim for claim in out_of_scope)


def test_every_claim_has_a_name_of_its_own_a_verdict_and_a_source():
    every = [*claims(), *figures()]
    assert max(Counter(claim["id"] for claim in every).values()) == 1
    for claim in every:
        assert claim["verdict"] in VERDICTS, claim["id"]
        assert claim["source"], claim["id"]
        assert claim["claimed"] or claim["verdict"] != "holds", claim["id"]
