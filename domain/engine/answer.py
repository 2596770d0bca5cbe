"""The door of the engine: every question that planning and service may ask, and the types of the answers."""

from domain.engine.deployment import (
    Candidate,
    CheckAnswer,
    CheckRequest,
    Deployment,
    Load,
    Memory,
    PublishedRecipe,
    Rejection,
    SizeAnswer,
    SizeRequest,
    Verdict,
)
from domain.engine.parallelism import Layout
from domain.engine.precision import EngineSupport, Policy, PrecisionAnswer, RefusedFormat, Way
from domain.engine.reason import Reason

__all__ = [
    "ENGINE_VERSION",
    "Candidate",
    "CheckAnswer",
    "CheckRequest",
    "Deployment",
    "EngineSupport",
    "Layout",
    "Load",
    "Memory",
    "Policy",
    "PrecisionAnswer",
    "PublishedRecipe",
    "Reason",
    "RefusedFormat",
    "Rejection",
    "SizeAnswer",
    "SizeRequest",
    "Verdict",
    "Way",
]

ENGINE_VERSION = "1"
"""Changes whenever an answer may change for the same catalog and the same question."""
