"""Configs as they were published, and the parameters of the models they describe."""

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data"


def sample(name: str) -> dict[str, Any]:
    """Return a config.json as its publisher wrote it."""
    config: dict[str, Any] = json.loads((DATA / "configs" / f"{name.replace('/', '--')}_config.json").read_text())
    return config


def sample_names() -> list[str]:
    """Return the names of all samples."""
    files = sorted((DATA / "configs").glob("*_config.json"))
    return [file.name.removesuffix("_config.json").replace("--", "/", 1) for file in files]


def published() -> list[dict[str, Any]]:
    """Return further published configs, cut to the fields that matter, with their parameters and where these stand."""
    rows: list[dict[str, Any]] = json.loads((DATA / "published_configs.json").read_text())
    return rows
