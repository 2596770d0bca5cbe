"""How the catalog looks."""

from collections.abc import Sequence

from rich.padding import Padding
from tonnage.v1 import catalog_pb2 as pb

from service.cli.screen import billions, gb, screen, show_headline, show_lines, show_section, table, tflops, usd, whole

PEAKS = ("bf16", "fp16", "fp8", "int8", "fp4")


def show_accelerators(cards: Sequence[pb.Accelerator]) -> None:
    """Print the accelerators, a line each."""
    figures = ("GB", "TB/s", "bf16 TF", "fp8 TF", "int8 TF", "W", "USD/h")
    rows = table("id", "name", *figures, "generation", right=figures, wrap=("name",))
    for card in cards:
        peaks = card.peak_flops_per_s
        rows.add_row(
            card.id,
            card.name,
            gb(card.memory_bytes),
            f"{card.memory_bandwidth_bytes_per_s / 1e12:.2f}",
            *(tflops(peaks.get(name)) for name in ("bf16", "fp8", "int8")),
            whole(card.tdp_w),
            usd(card.price_usd_per_hour if card.HasField("price_usd_per_hour") else None),
            card.generation,
        )
    screen().print(rows)


def show_models(models: Sequence[pb.ModelSummary]) -> None:
    """Print the models, a line each."""
    figures = ("parameters 1e9", "active 1e9", "KV kB/token", "context")
    rows = table("id", *figures, "stored", "released", right=figures)
    for model in models:
        rows.add_row(
            model.id,
            billions(model.total_parameter_count),
            billions(model.active_parameter_count),
            f"{model.kv_bytes_per_token / 1e3:,.1f}",
            whole(model.max_position_tokens) if model.max_position_tokens else "-",
            model.stored_format,
            model.release_date or "-",
        )
    screen().print(rows)


def show_accelerator(answer: pb.GetAcceleratorResponse) -> None:
    """Print one accelerator: its nodes, and every number with its source."""
    card = answer.accelerator
    show_headline(f"{card.name} ({card.id})")
    screen().print(f"{card.vendor}, {card.architecture}, {card.form_factor}, {card.release_year}. {card.note}".strip())
    if answer.nodes:
        show_section("Nodes")
        rows = table("id", "name", "cards", "bought by", right=("cards", "bought by"), wrap=("name",))
        for node in answer.nodes:
            rows.add_row(node.id, node.name, str(node.accelerator_count), str(node.granularity_count))
        screen().print(Padding(rows, (0, 0, 0, 2)))
    show_facts(answer.facts)


def show_model(answer: pb.GetModelResponse) -> None:
    """Print one model: its layers and parameters, and every number with its source."""
    model = answer.model
    show_headline(f"{model.id}: {billions(model.parameters.total)} billion parameters")
    screen().print(
        f"{billions(model.parameters.active)} billion active; {model.layer_count} layers {model.hidden_size:,} wide;"
        f" KV cache {model.cache.kv_bytes_per_token:,.0f} bytes per token at 16 bits; stored as"
        f" {model.stored.number_format}. {model.note}".strip()
    )
    show_section("Parameters")
    rows = table("component", "1e9", right=("1e9",))
    for part in model.parameters.by_component:
        rows.add_row(part.component.replace("_", " "), f"{part.parameter_count / 1e9:,.3f}")
    screen().print(Padding(rows, (0, 0, 0, 2)))
    _show_layers(model.layers)
    show_facts(answer.facts)


def _show_layers(layers: Sequence[pb.Layer]) -> None:
    show_section("Layers")
    rows = table("count", "attention", "feed-forward", right=("count",))
    for layer in layers:
        kinds = (layer.WhichOneof("attention"), layer.WhichOneof("feed_forward"))
        rows.add_row(str(layer.layer_count), *((kind or "none").replace("_", " ") for kind in kinds))
    screen().print(Padding(rows, (0, 0, 0, 2)))


def show_facts(facts: Sequence[pb.Fact]) -> None:
    """Print facts with kind, source and note, then where each source can be read."""
    if not facts:
        return
    show_section("Facts")
    rows = table("fact", "value", "kind", "source and note", right=("value",), wrap=("value", "source and note"))
    for fact in facts:
        kind = pb.FactKind.Name(fact.kind).removeprefix("FACT_KIND_").lower()
        said = f"{fact.source.key}. {fact.note}" if fact.note else fact.source.key
        rows.add_row(_label(fact.path), _value(fact), kind, said)
    screen().print(Padding(rows, (0, 0, 0, 2)))
    show_section("Sources")
    sources = {fact.source.key: fact.source for fact in facts}
    show_lines(_reference(source) for source in sources.values())


def _reference(source: pb.Source) -> str:
    parts = (source.title, source.publisher, source.date, source.link)
    return f"{source.key}: {', '.join(part for part in parts if part)}"


def _label(path: str) -> str:
    """Return the path without the folder; of what is not a node, the last part is enough."""
    folder, _, rest = path.partition("/")
    return rest if folder == "nodes" else rest.rpartition("/")[2]


def _value(fact: pb.Fact) -> str:
    match fact.WhichOneof("value"):
        case "number":
            return f"{fact.number:,.10g}"
        case "text":
            return fact.text
        case "flag":
            return "yes" if fact.flag else "no"
        case _:
            return "-"
