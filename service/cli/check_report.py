"""How the answer to `check` looks."""

from collections.abc import Iterable, Sequence

from rich.padding import Padding

from domain.engine.answer import CheckAnswer, Deployment, Memory, PublishedRecipe
from service.cli.fitted_table import Column, show_fitted
from service.cli.screen import (
    gb,
    gib,
    kw,
    layout,
    nodes,
    screen,
    show_headline,
    show_lines,
    show_rest,
    show_section,
    table,
    usd,
    weights,
    whole,
)

KINDS = {
    "vendor": "as the vendor states",
    "measured": "as a runtime reports",
    "derived": "derived from a like device or a documented limit",
    "assumed": "nominal: no report is known",
}
DEPLOYMENT_COLUMNS = (
    Column("count", is_figure=True),
    Column("nodes", is_figure=True, leaves=3),
    Column("weights", wraps=True),
    Column("layout", wraps=True),
    Column("verdict", wraps=True),
    Column("headroom GB", is_figure=True, leaves=2),
    Column("USD/h", is_figure=True, leaves=4),
    Column("kW", is_figure=True, leaves=1),
)
PUBLISHED_COLUMNS = (
    Column("count", is_figure=True),
    Column("accelerator"),
    Column("format"),
    Column("compared", wraps=True),
    Column("source", leaves=1),
)


def show_check(answer: CheckAnswer) -> None:
    """Print the verdict, the bytes behind it, and what would do instead."""
    show_headline(_asked(answer), answer.verdict)
    screen().print(answer.sentence)
    if answer.deployment is not None:
        _show_setting(answer.deployment)
        show_memory(answer.deployment.memory)
    if answer.reasons:
        show_section("Why")
        show_lines(f"{reason.sentence} ({reason.code})" for reason in answer.reasons)
    if answer.smaller_or_larger:
        show_section("What holds it on the same accelerator")
        show_deployments(answer.smaller_or_larger)
    show_published(answer.published)
    show_statements(answer.statements)


def _asked(answer: CheckAnswer) -> str:
    if answer.deployment is None:
        return answer.model
    return f"{answer.model} on {answer.deployment.accelerator_count} x {answer.deployment.accelerator}"


def _show_setting(deployment: Deployment) -> None:
    grid = table("", "")
    grid.show_header = False
    grid.add_row("Weights", weights(deployment))
    is_automatic = deployment.kv_cache_format == "auto"
    grid.add_row("KV cache", "16-bit type of the model" if is_automatic else deployment.kv_cache_format)
    grid.add_row("Layout", layout(deployment.layout))
    grid.add_row("Engine", deployment.engine)
    memory = deployment.memory
    room = f"{whole(memory.kv_capacity_tokens)} tokens, {whole(memory.sequence_capacity)} sequences as asked"
    grid.add_row("Room for", room)
    price = deployment.cost_usd_per_hour
    rent = "no price known" if price is None else f"{usd(price)} USD/h"
    grid.add_row("Rent, power", f"{rent}, {kw(deployment.power_w)} kW")
    screen().print(Padding(grid, (1, 0, 0, 2)))


def show_memory(memory: Memory) -> None:
    """Print the bytes on the fullest device, part by part."""
    show_section("Memory of the fullest device")
    parts = table("", "GB", "GiB", right=("GB", "GiB"))
    parts.add_row("weights", gb(memory.weights_bytes), gib(memory.weights_bytes))
    for component, size_bytes in memory.weights_by_component_bytes:
        parts.add_row(f"  {component.replace('_', ' ')}", gb(size_bytes), gib(size_bytes), style="dim")
    for name, size_bytes in (
        ("KV cache for the load", memory.kv_cache_bytes),
        ("activations", memory.activations_bytes),
        ("reserve", memory.reserve_bytes),
    ):
        parts.add_row(name, gb(size_bytes), gib(size_bytes))
    is_short = memory.headroom_bytes < 0
    missing = abs(memory.headroom_bytes)
    parts.add_row(
        "short of" if is_short else "headroom", gb(missing), gib(missing), style="bold red" if is_short else "green"
    )
    parts.add_section()
    kind = KINDS.get(memory.usable_kind, memory.usable_kind)
    budget = f"budget: {memory.memory_fraction:g} of {gb(memory.usable_bytes)} GB usable ({kind})"
    parts.add_row(budget, gb(memory.budget_bytes), gib(memory.budget_bytes))
    screen().print(Padding(parts, (0, 0, 0, 2)))


def show_deployments(deployments: Iterable[Deployment]) -> None:
    """Print deployments, a line each."""
    rows = [
        (
            str(deployment.accelerator_count),
            nodes(deployment.node_count),
            weights(deployment),
            layout(deployment.layout),
            deployment.verdict.replace("_", " "),
            gb(deployment.memory.headroom_bytes),
            usd(deployment.cost_usd_per_hour),
            kw(deployment.power_w),
        )
        for deployment in deployments
    ]
    show_fitted(DEPLOYMENT_COLUMNS, rows)


def show_published(recipes: Sequence[PublishedRecipe], most_rows: int | None = None) -> None:
    """Print what others deploy, and how it compares."""
    if not recipes:
        return
    show_section("What others publish")
    rows = [
        (str(recipe.accelerator_count), recipe.accelerator, recipe.number_format, recipe.sentence or "-", recipe.source)
        for recipe in recipes[:most_rows]
    ]
    show_fitted(PUBLISHED_COLUMNS, rows)
    show_rest(recipes, most_rows)


def show_statements(statements: Iterable[str]) -> None:
    """Print what was assumed."""
    if statements := tuple(statements):
        show_section("Assumed, chosen, not judged")
        show_lines(statements, style="dim")
