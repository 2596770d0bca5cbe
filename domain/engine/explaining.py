"""The words of an answer: its sentence, what was assumed, what others document, which facts were read."""

from collections.abc import Iterable, Iterator

from domain.catalog.accelerator import Accelerator, Node
from domain.catalog.model import Model
from domain.catalog.release import Catalog
from domain.catalog.serving_engine import PublishedDeployment
from domain.engine.deployment import Candidate, CheckRequest, Deployment, Load, PublishedRecipe, SizeRequest
from domain.engine.parallelism import Layout, default_stages, division_obstacle
from domain.engine.reason import Reason
from domain.engine.setting import is_known_to_run
from domain.engine.wording import counted, in_gb, in_nodes

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
    nodes = "" if deployment.node_count is None else f" ({in_nodes(deployment.node_count)})"
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
    """Say so when more than is needed would have to be bought, or when ranks that work together stand in two nodes."""
    node = catalog.nodes.get(deployment.node or "")
    if node is None:
        return
    count = deployment.accelerator_count
    if count % node.step_count(count):
        verb = "is" if count == 1 else "are"
        share = in_nodes(count / node.accelerator_count)
        sentence = f"{counted(count, 'accelerator')} {verb} {share}: {node.name} comes with {node.accelerator_count}."
        yield Reason(code="NOT_WHOLE_NODES", sentence=sentence)
    devices = node.accelerator_count * catalog.accelerators[deployment.accelerator].devices_per_card
    tensor, data = deployment.layout.tensor_parallel, deployment.layout.attention_data_parallel
    if tensor > devices:
        sentence = f"A tensor group of {tensor} spans nodes of {devices}: its all-reduce runs over the network."
        yield Reason(code="TENSOR_GROUP_CROSSES_NODES", sentence=sentence)
    if data > 1 and tensor * data > devices:
        sentence = f"{_exchange(deployment)} spans nodes of {devices}: it runs over the network."
        yield Reason(code="EXPERT_EXCHANGE_CROSSES_NODES", sentence=sentence)


def _exchange(deployment: Deployment) -> str:
    """Name what the ranks of tensor x attention data parallelism do together; attention itself they do apart."""
    layout = deployment.layout
    has_experts = "routed_experts" in dict(deployment.memory.weights_by_component_bytes)
    what = "experts" if has_experts else "feed-forward layers"
    ranks = layout.tensor_parallel * layout.attention_data_parallel
    groups = f"{layout.attention_data_parallel} attention groups of {counted(layout.tensor_parallel, 'rank')}"
    return f"The exchange of {groups} with the {what} on all {ranks}"


def link_reasons(catalog: Catalog, deployment: Deployment) -> Iterator[Reason]:
    """Say so when ranks of one node that work on one layer together are joined by nothing but the host bus."""
    accelerator, node = catalog.accelerators[deployment.accelerator], catalog.nodes.get(deployment.node or "")
    joined = node.link_name if node is not None else "the host bus"
    pairs = f"; its own link joins {accelerator.link.domain_size}" if accelerator.link.domain_size > 1 else ""
    tensor, data = deployment.layout.tensor_parallel, deployment.layout.attention_data_parallel
    if _is_on_host_bus(tensor, accelerator, node):
        group = f"A tensor group of {tensor} on {accelerator.name}"
        sentence = f"{group} exchanges over {joined}{pairs}: its all-reduce is slow."
        yield Reason(code="ALL_REDUCE_OVER_HOST_BUS", sentence=sentence)
    if data > 1 and _is_on_host_bus(tensor * data, accelerator, node):
        sentence = f"{_exchange(deployment)} of {accelerator.name} runs over {joined}{pairs}: it is slow."
        yield Reason(code="EXPERT_EXCHANGE_OVER_HOST_BUS", sentence=sentence)


def _is_on_host_bus(ranks: int, accelerator: Accelerator, node: Node | None) -> bool:
    cards = ranks / accelerator.devices_per_card
    return cards > accelerator.link.domain_size and (node is None or cards <= node.accelerator_count)


def recipes(
    catalog: Catalog, model: Model, accelerators: Iterable[str], found: Iterable[Deployment], load: Load
) -> tuple[PublishedRecipe, ...]:
    """Return what vendors and engines document for this architecture, beside what was found here for ``load``."""
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
            sentence=f"{recipe.note} {_compared(catalog, model, recipe, deployments, load)}".strip(),
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


def _compared(catalog: Catalog, model: Model, recipe: PublishedDeployment, found: list[Deployment], load: Load) -> str:
    """Compare with the smallest deployment here that is comfortable and fills its nodes, else with the smallest.

    A recipe names no load: it is set beside counts for a load of one's own only with that load.
    """
    here = [
        deployment
        for deployment in found
        if deployment.accelerator == recipe.accelerator and deployment.way.number_format == recipe.number_format
    ]
    if not here:
        return ""
    deployment = min(here, key=lambda one: (one.verdict != "fits", _splits_a_node(catalog, one), one.accelerator_count))
    if load != Load():
        asked = f"{counted(load.concurrency, 'sequence')} of {load.input_tokens + load.output_tokens} tokens"
        return f"Documented {recipe.accelerator_count} without a load; for {asked}: {deployment_words(deployment)}."
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
    return node is not None and deployment.accelerator_count % node.step_count(deployment.accelerator_count) > 0


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
