"""What a release may say, and that every slip is refused with the path of the fact."""

import math
from dataclasses import field, make_dataclass
from typing import Any

import pytest

from domain.catalog.content import digest
from domain.catalog.parsing import parse
from domain.catalog.refusal import CatalogError, UnknownAccelerator, UnknownModel
from tests.catalog import small_release
from tests.catalog.small_release import fact

CARD = ("hardware.toml", "accelerators", "card-80")
NODE = ("hardware.toml", "nodes", "card-80-8")
MODEL = ("models.toml", "models", "maker/model")
ALIAS = ("models.toml", "aliases", "maker/model-chat")
FORMAT = ("software.toml", "number_formats", "bf16")
ENGINE = ("software.toml", "serving_engines", "engine@0.9.0")
SOURCE = ("sources.toml", "sources", "data-sheet")
SUPPORT = ("software.toml", "format_support", 0)
DEPLOYMENT = ("software.toml", "published_deployments", 0)
GONE = object()

SLIPS = [
    # misspelt
    ((*CARD, "memory_byte"), fact(80e9), "accelerators/card-80/memory_byte: unknown key; did you mean 'memory_bytes'?"),
    ((*CARD, "memory_bytes", "vlaue"), 80e9, "accelerators/card-80/memory_bytes/vlaue: unknown key"),
    ((*CARD, "memory_bytes", "kind"), "vender", "accelerators/card-80/memory_bytes: kind 'vender' is not one of"),
    ((*CARD, "support", "fp8"), "nativ", "accelerators/card-80/support/fp8: 'nativ' is not one of"),
    ((*CARD, "support", "fp6"), "native", "accelerators/card-80/support/fp6: unknown key"),
    ((*MODEL, "hiden_size"), 64, "models/maker/model/hiden_size: unknown key; did you mean 'hidden_size'?"),
    (
        (*MODEL, "layers", "dense", "attention", "kind"),
        "selv",
        "models/maker/model/layers/dense/attention/kind: 'selv'",
    ),
    ((*MODEL, "layers", "dense", "attention", "qkv_bais"), True, "layers/dense/attention/qkv_bais: unknown key"),
    ((*MODEL, "pattern"), [[1, "dense"], [3, "spars"]], "models/maker/model/pattern: [3, 'spars'] is not a count"),
    ((*ENGINE, "fraction_of"), "totl", "serving_engines/engine@0.9.0/fraction_of: 'totl' is not one of"),
    ((*SUPPORT, "paths", "first"), "nativ", "format_support/1/paths/first: 'nativ' is not one of"),
    (("hardware.toml", "acelerators"), {}, "acelerators: unknown or misplaced table in hardware.toml"),
    # missing
    ((*CARD, "memory_bytes"), GONE, "accelerators/card-80/memory_bytes: is missing"),
    ((*CARD, "int8_flops_per_s"), GONE, "accelerators/card-80/int8_flops_per_s: is missing"),
    ((*CARD, "memory_bytes", "kind"), GONE, "accelerators/card-80/memory_bytes: no kind"),
    ((*CARD, "memory_bytes", "value"), GONE, "accelerators/card-80/memory_bytes: no value"),
    ((*CARD, "support"), GONE, "accelerators/card-80/support: is missing"),
    ((*NODE, "granularity_count"), GONE, "nodes/card-80-8/granularity_count: is missing"),
    ((*MODEL, "stored"), GONE, "models/maker/model/stored: is missing"),
    ((*MODEL, "pattern"), GONE, "models/maker/model/pattern: is missing"),
    ((*MODEL, "pattern"), [[4, "dense"]], "models/maker/model/pattern: never names the layer kind 'sparse'"),
    ((*ENGINE, "limits", "large", "sequence_count"), GONE, "engine@0.9.0/limits/large/sequence_count: is missing"),
    ((*SOURCE, "link"), GONE, "sources/data-sheet/link: is missing"),
    (("software.toml", "number_formats"), GONE, "number_formats: is missing"),
    # a blank where the engine needs a number, and a value where the release says there is none
    ((*CARD, "memory_bytes"), {"kind": "unknown", "source": "data-sheet"}, "card-80/memory_bytes: may not be unknown"),
    ((*CARD, "fp8_flops_per_s", "value"), 1e12, "card-80/fp8_flops_per_s: kind 'unsupported' carries no value"),
    # unsourced
    ((*CARD, "memory_bytes", "source"), GONE, "accelerators/card-80/memory_bytes: no source"),
    ((*CARD, "memory_bytes", "source"), "data-shet", "memory_bytes: source 'data-shet' is not in the table of sources"),
    (
        (*CARD, "memory_bytes"),
        80e9,
        "accelerators/card-80/memory_bytes: is a bare value; a number needs kind and source",
    ),
    ((*CARD, "sources"), [], "accelerators/card-80/sources: is empty"),
    ((*MODEL, "sources"), GONE, "models/maker/model/sources: is missing"),
    ((*SUPPORT, "source"), GONE, "format_support/1: no source"),
    ((*SOURCE, "link"), "", "sources/data-sheet/link: is empty"),
    # wrong type
    ((*CARD, "memory_bytes", "value"), "80e9", "accelerators/card-80/memory_bytes: is not a number"),
    ((*CARD, "memory_bytes", "value"), True, "accelerators/card-80/memory_bytes: is not a number"),
    ((*CARD, "release_year"), "2024", "accelerators/card-80/release_year: is not a whole number"),
    ((*MODEL, "tied_embeddings"), 0, "models/maker/model/tied_embeddings: is neither true nor false"),
    ((*MODEL, "hidden_size"), 64.5, "models/maker/model/hidden_size: is not a whole number"),
    ((*MODEL, "layers"), [], "models/maker/model/layers: is not a table of tables"),
    ((*ENGINE, "vendors"), "Maker", "serving_engines/engine@0.9.0/vendors: is not a list of texts"),
    ((*CARD, "name"), 7, "accelerators/card-80/name: is not a text"),
    (("hardware.toml", "accelerators", "card-80"), "card", "accelerators/card-80: is not a table"),
    # out of range, which is mostly a wrong unit
    ((*CARD, "memory_bytes", "value"), 80, "accelerators/card-80/memory_bytes: 80 is out of range"),
    ((*CARD, "memory_bytes", "value"), -80e9, "accelerators/card-80/memory_bytes: -8e+10 is out of range"),
    ((*CARD, "bf16_flops_per_s", "value"), 300, "accelerators/card-80/bf16_flops_per_s: 300 is out of range"),
    ((*CARD, "tdp_w", "value"), math.nan, "accelerators/card-80/tdp_w: nan is not a finite number"),
    ((*CARD, "tdp_w", "value"), math.inf, "accelerators/card-80/tdp_w: inf is not a finite number"),
    ((*ENGINE, "memory_fraction", "value"), 90, "serving_engines/engine@0.9.0/memory_fraction: 90 is out of range"),
    ((*MODEL, "hidden_size"), -64, "models/maker/model/hidden_size: -64 is negative"),
    ((*FORMAT, "storage_bits", "value"), 64, "number_formats/bf16/storage_bits: 64 is out of range"),
    # names that lead nowhere
    ((*NODE, "accelerator"), "card-81", "nodes/card-80-8/accelerator: no accelerator 'card-81' in this release"),
    ((*ALIAS, "model"), "maker/modell", "aliases/maker/model-chat/model: no model 'maker/modell' in this release"),
    ((*MODEL, "stored", "number_format"), "bf17", "models/maker/model/stored: no number format 'bf17' in this release"),
    ((*SUPPORT, "engine"), "engin", "format_support/engin/bf16/first: no serving engine 'engin' in this release"),
    ((*SUPPORT, "paths"), {"frist": "native"}, "format_support/engine/bf16/frist: no generation 'frist'"),
    ((*DEPLOYMENT, "accelerator"), "card-81", "no accelerator 'card-81' in this release"),
    ((*FORMAT, "kept_16bit"), ["head"], "number_formats/bf16/kept_16bit: 'head' is not a component of a model"),
]


def spoiled(place: tuple[Any, ...], value: object) -> dict[str, Any]:
    files = small_release.files()
    table: Any = files
    for key in place[:-1]:
        table = table[key]
    if value is GONE:
        del table[place[-1]]
    else:
        table[place[-1]] = value
    return files


def problems(files: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(CatalogError) as refused:
        parse("test", files)
    return refused.value.problems


def test_a_release_that_says_everything_is_read():
    catalog = parse("test", small_release.files())

    card = catalog.accelerator("card-80")
    assert (card.memory_bytes, card.usable_memory_bytes, card.tdp_w) == (80e9, None, 400)
    assert catalog.model("maker/model").pattern == (0, 1, 1, 1)
    assert catalog.facts["accelerators/card-80/memory_bytes"].source == "data-sheet"


@pytest.mark.parametrize(("place", "value", "problem"), SLIPS, ids=[slip[2] for slip in SLIPS])
def test_a_slip_is_refused_with_the_path_of_the_fact(place, value, problem):
    assert any(problem in found for found in problems(spoiled(place, value)))


@pytest.mark.parametrize(("place", "value", "problem"), SLIPS, ids=[slip[2] for slip in SLIPS])
def test_a_refusal_begins_with_a_path_of_the_release(place, value, problem):
    sections = ("accelerators", "nodes", "models", "aliases", "number_formats", "serving_engines", "sources")
    lists = ("format_support", "published_deployments", "acelerators")

    assert all(found.split(":")[0].split("/")[0] in (*sections, *lists) for found in problems(spoiled(place, value)))


def test_all_problems_are_reported_at_once():
    files = small_release.files()
    card = files["hardware.toml"]["accelerators"]["card-80"]
    card["memory_bytes"]["value"] = -1
    del card["tdp_w"]
    files["software.toml"]["number_formats"]["bf16"]["quality"] = "good"

    found = problems(files)

    assert [problem.split(":")[0] for problem in found] == [
        "accelerators/card-80/memory_bytes",
        "accelerators/card-80/tdp_w",
        "number_formats/bf16/quality",
    ]


def test_an_entry_may_stand_in_one_file_only():
    files = small_release.files()
    files["more.toml"] = {"nodes": files["hardware.toml"]["nodes"]}

    assert problems(files) == ("nodes/card-80-8: stands twice, again in more.toml",)


def test_what_one_source_says_of_a_format_another_row_may_not_deny():
    files = small_release.files()
    row = files["software.toml"]["format_support"][0]
    files["software.toml"]["format_support"].append({**row, "paths": {"first": "no"}})

    assert problems(files) == ("format_support/2: format_support/engine/bf16/first stands twice",)


def test_unknown_and_unsupported_peaks_stay_apart():
    card = parse("test", small_release.files()).accelerator("card-80")

    assert card.peak_flops_per_s["fp64"] is None
    assert "fp8" not in card.peak_flops_per_s


def test_the_newest_release_of_an_engine_goes_by_its_bare_name():
    engines = parse("test", small_release.files()).serving_engines

    assert engines["engine"].version == "0.10.0"
    assert set(engines) == {"engine", "engine@0.9.0", "engine@0.10.0"}


def test_the_digest_does_not_depend_on_files_or_on_order():
    files = small_release.files()
    one_file: dict[str, dict[str, Any]] = {"all.toml": {}}
    for content in reversed(files.values()):
        for section in reversed(content):
            entries = content[section]
            one_file["all.toml"][section] = dict(reversed(entries.items())) if isinstance(entries, dict) else entries

    assert parse("test", one_file).digest == parse("test", files).digest


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((*CARD, "memory_bytes", "value"), 81e9),
        ((*CARD, "memory_bytes", "kind"), "measured"),
        ((*CARD, "memory_bytes", "note"), "exposed"),
        ((*SOURCE, "link"), "https://maker.example/2"),
        ((*MODEL, "layers", "dense", "norm_count"), 4),
        ((*ENGINE, "preference"), 1),
        ((*SUPPORT, "paths", "first"), "weight_only"),
        ((*DEPLOYMENT, "note"), "as tested"),
    ],
)
def test_the_digest_tells_any_change_of_content(place, value):
    assert parse("test", spoiled(place, value)).digest != parse("test", small_release.files()).digest


def test_the_digest_is_the_same_for_a_whole_number_and_its_float():
    files = spoiled((*CARD, "memory_bytes", "value"), 80_000_000_000)

    assert parse("test", files).digest == parse("test", small_release.files()).digest


def test_a_field_that_the_code_gains_later_leaves_digests_alone():
    today = make_dataclass("Part", [("size", int)])
    later = make_dataclass("Part", [("size", int), ("gate", bool, field(default=False))])

    assert digest(later(size=3)) == digest(today(size=3))
    assert digest(later(size=3, gate=True)) != digest(today(size=3))


def test_an_alias_is_its_model_under_another_name():
    catalog = parse("test", small_release.files())

    alias = catalog.model("maker/model-chat")

    assert alias.id == "maker/model-chat"
    assert alias.layers == catalog.model("maker/model").layers


def test_an_alias_may_be_stored_otherwise():
    catalog = parse("test", spoiled((*ALIAS, "stored"), {"number_format": "bf16", "by_component": {"router": "bf16"}}))

    assert catalog.model("maker/model-chat").stored.by_component == (("router", "bf16"),)
    assert catalog.model("maker/model").stored.by_component == ()


def test_an_unknown_name_is_refused_with_the_nearest_ones():
    catalog = parse("test", small_release.files())

    with pytest.raises(UnknownModel, match=r"no model 'maker/modle'; nearest: maker/model, maker/model-chat"):
        catalog.model("maker/modle")
    with pytest.raises(UnknownAccelerator, match=r"no accelerator 'Card80'; nearest: card-80"):
        catalog.accelerator("Card80")
