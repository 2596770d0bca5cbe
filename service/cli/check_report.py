"""How the answer to `check` looks."""

from collections.abc import Iterable, Sequence

from rich.padding import Padding

from domain.engine.answer import CheckAnswer, Deployment, Memory, PublishedRecipe
from service.cli.screen import (
    gb,
    gib,
    kw,
    layout,
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
    budget = f"budget: {memory.memory_fraction:g} of {gb(memory.usable_bytes)} GB usable ({memory.usable_kind})"
    parts.add_row(budget, gb(memory.budget_bytes), gib(memory.budget_bytes))
    screen().print(Padding(parts, (0, 0, 0, 2)))


def show_deployments(deployments: Iterable[Deployment]) -> None:
    """Print deployments, a line each."""
    figures = ("count", "nodes", "headroom GB", "USD/h", "kW")
    rows = table("count", "nodes", "weights", "layout", "verdict", "headroom GB", "USD/h", "kW", right=figures)
    for deployment in deployments:
        rows.add_row(
            str(deployment.accelerator_count),
            "-" if deployment.node_count is None else f"{deployment.node_count:g}",
            weights(deployment),
            layout(deployment.layout),
            deployment.verdict.replace("_", " "),
            gb(deployment.memory.headroom_bytes),
            usd(deployment.cost_usd_per_hour),
            kw(deployment.power_w),
        )
    screen().print(Padding(rows, (0, 0, 0, 2)))


def show_published(recipes: Sequence[PublishedRecipe], most_rows: int | None = None) -> None:
    """Print what others deploy, and how it compares."""
    if not recipes:
        return
    show_section("What others publish")
    rows = table("", "accelerator", "format", "compared", "source", right=("",), wrap=("compared", "source"))
    for recipe in recipes[:most_rows]:
        count = str(recipe.accelerator_count)
        rows.add_row(count, recipe.accelerator, recipe.number_format, recipe.sentence or "-", recipe.source)
    screen().print(Padding(rows, (0, 0, 0, 2)))
    show_rest(recipes, most_rows)


def show_statements(statements: Iterable[str]) -> None:
    """Print what was assumed."""
    if statements := tuple(statements):
        show_section("Assumed, chosen, not judged")
        show_lines(statements, style="dim")
