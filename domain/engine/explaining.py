"""The words of an answer: its sentence, what was assumed, what others document, which facts were read."""

from collections.abc import Iterable, Iterator

from domain.catalog.model import Model
from domain.catalog.release import Catalog
from domain.catalog.serving_engine import PublishedDeployment
from domain.engine.deployment import Candidate, CheckRequest, Deployment, Load, PublishedRecipe, SizeRequest
from domain.engine.parallelism import Layout, default_stages, division_obstacle
from domain.engine.reason import Reason
from domain.engine.setting import is_known_to_run
from domain.engine.wording import counted, in_gb

SPEED_NOT_JUDGED = "Speed was not judged: this answer is about memory, precision and layout only."
DEEPEST_SEARCHED = "Layouts of up to 64 tensor ranks and 16 pipeline stages were searched."


def layout_words(layout: Layout) -> str:
    """Return ``TP8 x PP2 x 3 replicas``, leaving out what is 1."""
    degrees = (
        ("TP", layout.tensor_parallel, True),
        ("PP", layout.pipeline_parallel, False),
        ("attention DP", layout.attention_data_parallel, False),
        ("DCP", layout.decode_context_parallel, False),
    )
    words = [f"{name}{degree}" for name, degree, always in degrees if always or degree > 1]
    if layout.expert_parallel > 1:
        words.append(f"EP{layout.expert_parallel}")
    if layout.replicas > 1:
        words.append(counted(layout.replicas, "replica"))
    return " x ".join(words)


def deployment_words(deployment: Deployment) -> str:
    """Return ``16 x h100-sxm-80 (2 nodes) at fp8, TP8 x PP2``."""
    nodes = ""
    if deployment.node_count is not None:
        whole = deployment.node_count == int(deployment.node_count)
        count = counted(int(deployment.node_count), "node") if whole else f"{deployment.node_count:.3g} nodes"
        nodes = f" ({count})"
    way = f"{deployment.way.number_format} {deployment.way.path.replace('_', '-')}"
    return f"{deployment.accelerator_count} x {deployment.accelerator}{nodes}, {way}, {layout_words(deployment.layout)}"


def check_sentence(deployment: Deployment, load: Load) -> str:
    """Return the verdict with the figures that decide it."""
    memory = deployment.memory
    what = deployment_words(deployment)
    weights = f"weights {in_gb(memory.weights_bytes)} of {in_gb(memory.budget_bytes)} usable on the fullest device"
    if deployment.verdict == "does_not_fit":
        all_weights, all_usable = _sums(deployment)
        shortfall = f"lacks {in_gb(-memory.headroom_bytes)} on the fullest device"
        return f"Does not fit: {what} {shortfall} ({weights}; {all_weights} of weights against {all_usable} in all)."
    tokens = load.input_tokens + load.output_tokens
    held = f"room for {memory.kv_capacity_tokens:,.0f} tokens".replace(",", " ")
    sequences = f"{memory.sequence_capacity:.0f} sequences of {tokens} tokens"
    word = "Marginal" if deployment.verdict == "marginal" else "Fits"
    return f"{word}: {what}; {weights}, {held}, {sequences}."


def _sums(deployment: Deployment) -> tuple[str, str]:
    usable = deployment.memory.usable_bytes * deployment.memory.memory_fraction * deployment.device_count
    return in_gb(deployment.way.weights_bytes * deployment.layout.replicas), in_gb(usable)


def size_sentence(model: Model, candidates: Iterable[Candidate], ranked_by: str) -> str:
    """Return the first candidate that is recommended, in words."""
    for candidate in candidates:
        if candidate.recommended is not None:
            price = candidate.recommended.cost_usd_per_hour
            cost = f" for {price:.2f} USD per hour" if price is not None else ""
            return f"{model.id}: first by {ranked_by} is {deployment_words(candidate.recommended)}{cost}."
    return f"{model.id}: no hardware of the catalog that was asked about can be recommended."


def statements(deployment: Deployment, model: Model, request_load: Load) -> Iterator[str]:
    """Say what was taken for granted in judging ``deployment``."""
    memory, layout = deployment.memory, deployment.layout
    tokens = request_load.input_tokens + request_load.output_tokens
    sequences = counted(request_load.concurrency, "sequence")
    parts = f"{request_load.input_tokens} in, {request_load.output_tokens} out"
    yield f"Load held at once: {sequences} of {tokens} tokens ({parts})."
    if memory.usable_kind == "assumed":
        nominal = in_gb(memory.usable_bytes)
        yield f"No runtime report of this accelerator's memory is known: the nominal {nominal} per device is used."
    if not is_known_to_run(deployment.way, deployment.engine.partition("@")[0]):
        yield f"Whether {deployment.engine} runs {deployment.way.number_format} here is not known: no source says so."
    if layout.attention_data_parallel > 1:
        copied = dict(memory.weights_by_component_bytes).get("attention", 0.0)
        yield (
            f"Attention data parallelism: each of {layout.attention_data_parallel} groups holds a copy of attention "
            f"weights ({in_gb(copied)} on each device) and the cache of its own sequences only."
        )
    if model.mtp_layer_count and "mtp" not in dict(memory.weights_by_component_bytes):
        yield "MTP modules are not loaded: no speculation was asked for."
    yield SPEED_NOT_JUDGED


def hand_set_stages(catalog: Catalog, deployment: Deployment) -> Iterator[Reason]:
    """Say so when the stages are not the engine's own division."""
    layout = deployment.layout
    engine = catalog.serving_engines[deployment.engine]
    own = default_stages(sum(layout.stage_layer_counts), layout.pipeline_parallel, engine)
    if layout.stage_layer_counts != own:
        counts = ",".join(str(count) for count in layout.stage_layer_counts)
        sentence = f"{engine.name} would divide the layers otherwise: set its stages to {counts}."
        yield Reason(code="STAGES_SET_BY_HAND", sentence=sentence)


def node_reasons(catalog: Catalog, deployment: Deployment) -> Iterator[Reason]:
    """Say so when the count is no whole number of nodes, or a tensor group crosses nodes."""
    node = catalog.nodes.get(deployment.node or "")
    if node is None:
        return
    if node.granularity_count > 1 and deployment.accelerator_count % node.accelerator_count:
        sentence = (
            f"{deployment.accelerator_count} accelerators are {deployment.node_count:.3g} nodes: "
            f"{node.name} comes with {node.accelerator_count}."
        )
        yield Reason(code="NOT_WHOLE_NODES", sentence=sentence)
    devices = node.accelerator_count * catalog.accelerators[deployment.accelerator].devices_per_card
    group = deployment.layout.tensor_parallel * deployment.layout.attention_data_parallel
    if group > devices:
        sentence = f"A tensor group of {group} spans nodes of {devices}: its all-reduce runs over the network."
        yield Reason(code="TENSOR_GROUP_CROSSES_NODES", sentence=sentence)


def link_reasons(catalog: Catalog, deployment: Deployment) -> Iterator[Reason]:
    """Say so when a tensor group inside one node is joined by nothing but the host bus."""
    accelerator, node = catalog.accelerators[deployment.accelerator], catalog.nodes.get(deployment.node or "")
    group = deployment.layout.tensor_parallel * deployment.layout.attention_data_parallel
    cards = group / accelerator.devices_per_card
    if cards <= accelerator.link.domain_size or (node is not None and cards > node.accelerator_count):
        return
    joined = node.link_name if node is not None else "the host bus"
    pairs = f"; its own link joins {accelerator.link.domain_size}" if accelerator.link.domain_size > 1 else ""
    sentence = (
        f"A tensor group of {group} on {accelerator.name} exchanges over {joined}{pairs}: its all-reduce is slow."
    )
    yield Reason(code="ALL_REDUCE_OVER_HOST_BUS", sentence=sentence)


def recipes(
    catalog: Catalog, model: Model, accelerators: Iterable[str], found: Iterable[Deployment]
) -> tuple[PublishedRecipe, ...]:
    """Return what vendors and engines document for this architecture, beside what was found here."""
    wanted = set(accelerators)
    deployments = list(found)
    documented: dict[tuple[str, int, str, str], PublishedDeployment] = {}
    for recipe in catalog.published_deployments:
        if recipe.accelerator in wanted and _same_architecture(catalog, recipe.model, model):
            what = (recipe.accelerator, recipe.accelerator_count, recipe.number_format, recipe.layout)
            if what not in documented or recipe.model == model.id:
                documented[what] = recipe
    return tuple(
        PublishedRecipe(
            accelerator=recipe.accelerator,
            accelerator_count=recipe.accelerator_count,
            number_format=recipe.number_format,
            layout=recipe.layout,
            source=recipe.source,
            sentence=f"{recipe.note} {_compared(catalog, model, recipe, deployments)}".strip(),
        )
        for recipe in documented.values()
    )


def _same_architecture(catalog: Catalog, documented: str, model: Model) -> bool:
    if documented == model.id:
        return True
    twin = catalog.models.get(documented)
    return twin is not None and (twin.layers, twin.pattern, twin.hidden_size) == (
        model.layers,
        model.pattern,
        model.hidden_size,
    )


def _compared(catalog: Catalog, model: Model, recipe: PublishedDeployment, found: list[Deployment]) -> str:
    """Compare with the smallest deployment here that is comfortable and fills its nodes, else with the smallest."""
    here = [
        deployment
        for deployment in found
        if deployment.accelerator == recipe.accelerator and deployment.way.number_format == recipe.number_format
    ]
    if not here:
        return ""
    deployment = min(here, key=lambda one: (one.verdict != "fits", _splits_a_node(catalog, one), one.accelerator_count))
    count = deployment.accelerator_count
    if count == recipe.accelerator_count:
        return f"Documented {count}, as found here."
    sentence = f"Documented {recipe.accelerator_count}, found here: {deployment_words(deployment)}."
    engine = catalog.serving_engines[deployment.engine]
    obstacle = division_obstacle(model, deployment.device_count, engine)
    if count > recipe.accelerator_count or deployment.layout.pipeline_parallel == 1 or obstacle is None:
        return sentence
    return f"{sentence} One tensor group over {counted(count, 'accelerator')} would not do: {obstacle.sentence}"


def _splits_a_node(catalog: Catalog, deployment: Deployment) -> bool:
    node = catalog.nodes.get(deployment.node or "")
    return node is not None and deployment.accelerator_count % node.granularity_count > 0


def facts_of(request: CheckRequest | SizeRequest, model: Model, deployments: Iterable[Deployment]) -> tuple[str, ...]:
    """Return the paths of the catalog facts that the deployments rest on."""
    paths: dict[str, None] = {f"models/{model.id}": None} if request.config_json is None else {}
    for deployment in deployments:
        for name in ("memory_bytes", "usable_memory_bytes", "tdp_w", "price_usd_per_hour"):
            paths[f"accelerators/{deployment.accelerator}/{name}"] = None
        if deployment.node:
            paths[f"nodes/{deployment.node}/accelerator_count"] = None
        for name in (
            "memory_fraction",
            "logits_bytes_per_entry",
            "workspace_bytes",
            "parallel_context_bytes",
        ):
            paths[f"serving_engines/{deployment.engine}/{name}"] = None
        paths[f"number_formats/{deployment.way.number_format}/storage_bits"] = None
    return tuple(paths)
