"""Plans to test with: what the engine says does not matter to history, only that it is kept."""

from datetime import UTC, datetime

from domain.engine.answer import (
    CheckAnswer,
    CheckRequest,
    Deployment,
    EngineSupport,
    Layout,
    Load,
    Memory,
    PublishedRecipe,
    Reason,
    Rejection,
    SizeAnswer,
    SizeRequest,
    Way,
)
from domain.engine.deployment import Candidate
from domain.planning.evaluation import Evaluation
from domain.planning.happening import ActorId
from domain.planning.plan import ApprovePlan, DraftPlan, RetirePlan, RevisePlan

MONDAY = datetime(2026, 11, 2, 9, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 3, 9, tzinfo=UTC)
WEDNESDAY = datetime(2026, 11, 4, 9, tzinfo=UTC)

ADA = ActorId("11111111-1111-4111-8111-111111111111")
BOB = ActorId("22222222-2222-4222-8222-222222222222")

NOVEMBER = "a" * 64
DECEMBER = "b" * 64

WAY = Way(
    number_format="fp8",
    path="native",
    quality="lossless",
    compute_type="fp8",
    weights_bytes=671e9,
    peak_flops_per_s=1978.9e12,
    engines=(EngineSupport(engine="vllm", engine_version="0.11.0", answer="yes", source="vllm-docs"),),
    requires="",
    sentence="FP8 as published, multiplied natively.",
)
MEMORY = Memory(
    weights_bytes=87.5e9,
    weights_by_component_bytes=(("attention", 1.5e9), ("routed_experts", 82.0e9)),
    kv_cache_bytes=3.1e9,
    activations_bytes=1.2e9,
    reserve_bytes=2.5e9,
    usable_bytes=150.1e9,
    usable_kind="measured",
    memory_fraction=0.9,
    budget_bytes=135.0e9,
    headroom_bytes=40.7e9,
    kv_room_bytes=43.8e9,
    kv_capacity_tokens=640_000.0,
    sequence_capacity=312.0,
)
EIGHT_H200 = Deployment(
    accelerator="h200-sxm",
    accelerator_count=8,
    device_count=8,
    node="hgx-h200",
    node_count=1.0,
    layout=Layout(
        tensor_parallel=8,
        pipeline_parallel=1,
        expert_parallel=1,
        attention_data_parallel=1,
        decode_context_parallel=1,
        replicas=1,
        stage_layer_counts=(61,),
    ),
    way=WAY,
    kv_cache_format="auto",
    engine="vllm@0.11.0",
    verdict="fits",
    memory=MEMORY,
    cost_usd_per_hour=28.0,
    power_w=None,
)
RECIPE = PublishedRecipe(
    accelerator="h200-sxm",
    accelerator_count=8,
    number_format="fp8",
    layout="TP8",
    source="vendor",
    sentence="The vendor deploys the same.",
)

CHECK = CheckRequest(model="deepseek-v3", accelerator="h200-sxm", accelerator_count=8)
SMALLER_CHECK = CheckRequest(model="deepseek-v3", accelerator="h200-sxm", accelerator_count=4)
SIZE = SizeRequest(model="deepseek-v3", load=Load(concurrency=64))

FITS = CheckAnswer(
    model="deepseek-v3",
    verdict="fits",
    sentence="8 H200 hold DeepSeek-V3 in FP8.",
    deployment=EIGHT_H200,
    reasons=(),
    smaller_or_larger=(),
    published=(RECIPE,),
    statements=("Speed was not judged.",),
    facts=("accelerators/h200-sxm/memory_bytes", "models/deepseek-v3/hidden_size"),
)
DOES_NOT_FIT = CheckAnswer(
    model="deepseek-v3",
    verdict="does_not_fit",
    sentence="4 H200 do not hold DeepSeek-V3 in FP8.",
    deployment=None,
    reasons=(Reason(code="DOES_NOT_FIT", sentence="34 GB are missing.", bytes=34e9),),
    smaller_or_larger=(EIGHT_H200,),
    published=(),
    statements=(),
    facts=("accelerators/h200-sxm/memory_bytes",),
)
SIZED = SizeAnswer(
    model="deepseek-v3",
    sentence="8 H200 in one node.",
    candidates=(
        Candidate(smallest_by_memory=EIGHT_H200, smallest_deployable=EIGHT_H200, recommended=EIGHT_H200, reasons=()),
    ),
    unpriced=(),
    rejections=(
        Rejection(
            accelerator="rtx-3080",
            number_format="fp8",
            reason=Reason(code="NO_FP8_ON_ACCELERATOR", sentence="Ampere has no FP8."),
        ),
    ),
    published=(RECIPE,),
    statements=("Speed was not judged.",),
    facts=("accelerators/h200-sxm/memory_bytes",),
)


def evaluation(answer: CheckAnswer | SizeAnswer = FITS, digest: str = NOVEMBER) -> Evaluation:
    """What the engine said by the release with ``digest``."""
    return Evaluation(catalog_release="2026-11", catalog_digest=digest, engine_version="1", answer=answer)


def draft(**changes: object) -> DraftPlan:
    """Ada drafts a plan on Monday."""
    said = {
        "actor": ADA,
        "at": MONDAY,
        "name": "Chat",
        "requirements": CHECK,
        "evaluation": evaluation(),
    }
    return DraftPlan(**{**said, **changes})  # type: ignore[arg-type]


def revise(**changes: object) -> RevisePlan:
    """Ada asks for half of it on Tuesday."""
    said = {
        "actor": ADA,
        "at": TUESDAY,
        "requirements": SMALLER_CHECK,
        "evaluation": evaluation(DOES_NOT_FIT),
        "reason": "fewer users",
    }
    return RevisePlan(**{**said, **changes})  # type: ignore[arg-type]


def approve(**changes: object) -> ApprovePlan:
    """Bob agrees on Tuesday to what was drafted."""
    said = {"actor": BOB, "at": TUESDAY, "revision": 2, "four_eyes": True}
    return ApprovePlan(**{**said, **changes})  # type: ignore[arg-type]


def retire(**changes: object) -> RetirePlan:
    """Ada ends the plan on Wednesday."""
    return RetirePlan(**{"actor": ADA, "at": WEDNESDAY, "reason": "done", **changes})  # type: ignore[arg-type]
