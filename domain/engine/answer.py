"""The door of the engine: every question that planning and service may ask, and the types of the answers."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from domain.catalog.accelerator import Accelerator
from domain.catalog.model import Model
from domain.catalog.release import Catalog
from domain.engine.check_column import CheckColumn, check_column
from domain.engine.checking import Checked, check_one
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
from domain.engine.estimate import EstimateAnswer, EstimateRequest
from domain.engine.estimating import estimate
from domain.engine.explaining import (
    DEEPEST_SEARCHED,
    SPEED_NOT_JUDGED,
    check_sentence,
    facts_of,
    hand_set_stages,
    link_reasons,
    node_reasons,
    recipes,
    size_sentence,
    statements,
)
from domain.engine.load_reasons import load_reasons
from domain.engine.parallelism import Layout
from domain.engine.precision import EngineSupport, Policy, PrecisionAnswer, RefusedFormat, Way
from domain.engine.question import (
    FieldRefusal,
    QuestionRefused,
    known_accelerator,
    known_model,
    require_sound_check,
    require_sound_size,
)
from domain.engine.reason import Reason
from domain.engine.setting import ModelStudy
from domain.engine.sizing import Sizing
from domain.engine.ways import QUALITY_ORDER, PrecisionResolver
from domain.engine.wording import in_gb

__all__ = [
    "ENGINE_VERSION",
    "Candidate",
    "CheckAnswer",
    "CheckColumn",
    "CheckRequest",
    "Deployment",
    "EngineSupport",
    "EstimateAnswer",
    "EstimateRequest",
    "FieldRefusal",
    "Layout",
    "Load",
    "Memory",
    "Policy",
    "PrecisionAnswer",
    "PublishedRecipe",
    "QuestionRefused",
    "Reason",
    "RefusedFormat",
    "Rejection",
    "SizeAnswer",
    "SizeRequest",
    "Verdict",
    "Way",
    "check",
    "check_column",
    "estimate",
    "resolve_precision",
    "size",
]

ENGINE_VERSION = "1"
"""Changes whenever an answer may change for the same catalog and the same question."""


Rank = tuple[bool, float, int, float]
"""Whether nothing can be recommended, cost or count, quality, bytes of the weights."""

Told = TypeVar("Told", Reason, Rejection)


ONE_ENGINE = "Each way was judged with one serving engine, the first that is known to run it; another may hold more."
MOST_BY_DEFAULT = 128
"""Accelerators up to which alternatives are searched where the caller's own count is not larger."""


def resolve_precision(
    catalog: Catalog, model: str, accelerator: str, policy: Policy, config_json: str | None = None
) -> PrecisionAnswer:
    """Return every way to run the model on the accelerator, best first, and every format that is refused.

    Raises `QuestionRefused` for an unknown model or accelerator, or a config.json that is not understood.
    """
    resolver = PrecisionResolver(catalog, known_model(catalog, model, config_json))
    return resolver.resolve(known_accelerator(catalog, accelerator), policy)


def check(catalog: Catalog, request: CheckRequest) -> CheckAnswer:
    """Say whether fixed hardware holds the model and the load, by how much, and what would.

    Raises `QuestionRefused` with every field that cannot be.
    """
    require_sound_check(catalog, request)
    model = known_model(catalog, request.model, request.config_json)
    accelerator = known_accelerator(catalog, request.accelerator)
    study = ModelStudy(catalog, model)
    checked = check_one(study, accelerator, request)
    if checked.deployment is None:
        return _impossible(study, accelerator, request, checked)
    deployment = checked.deployment
    reasons = (*_once(checked.reasons), *node_reasons(catalog, deployment), *hand_set_stages(catalog, deployment))
    is_plain = deployment.verdict == "fits" and not reasons
    others = () if is_plain else tuple(_others(study, accelerator, request))
    return CheckAnswer(
        model=model.id,
        verdict=deployment.verdict,
        sentence=check_sentence(deployment, request.load),
        deployment=deployment,
        reasons=(
            *reasons,
            *link_reasons(catalog, deployment),
            *_verdict_reason(deployment),
            *load_reasons(model, request.load, request.speculative_draft_tokens),
        ),
        smaller_or_larger=others,
        published=recipes(catalog, model, (accelerator.id,), others or (deployment,), request.load),
        statements=tuple(statements(deployment, model, request.load)),
        facts=facts_of(request, model, (deployment, *others)),
    )


def _once(told: tuple[Told, ...]) -> tuple[Told, ...]:
    """Leave out what two ways of one format both say, such as W8A8 and W8A16 that no engine runs."""
    return tuple(dict.fromkeys(told))


def _verdict_reason(deployment: Deployment) -> Iterator[Reason]:
    headroom = deployment.memory.headroom_bytes
    if deployment.verdict == "does_not_fit":
        sentence = f"The fullest device lacks {in_gb(-headroom)}."
        yield Reason(code="DOES_NOT_FIT", sentence=sentence, bytes=-headroom)
    elif deployment.verdict == "marginal":
        yield Reason(code="MARGINAL", sentence="It fits, with under 8 % of the budget left for the cache.")


def _impossible(study: ModelStudy, accelerator: Accelerator, request: CheckRequest, checked: Checked) -> CheckAnswer:
    others = tuple(_others(study, accelerator, request))
    reasons = _once(checked.reasons)
    why = " ".join(reason.sentence for reason in reasons)
    return CheckAnswer(
        model=study.model.id,
        verdict="impossible",
        sentence=f"Not possible on {request.accelerator_count} x {accelerator.id}: {why}",
        deployment=None,
        reasons=reasons,
        smaller_or_larger=others,
        published=recipes(study.catalog, study.model, (accelerator.id,), others, request.load),
        statements=(SPEED_NOT_JUDGED,),
        facts=facts_of(request, study.model, others),
    )


def _others(study: ModelStudy, accelerator: Accelerator, request: CheckRequest) -> Iterator[Deployment]:
    """Yield what would hold it on the same accelerator: the asked precision first, then the other ways."""
    with_mtp = request.speculative_draft_tokens > 0
    sizing = Sizing(study, _as_size(request), with_mtp=with_mtp, memory_fraction=request.memory_fraction)
    sized = sizing.on((accelerator,))
    wanted = request.weight_format
    ordered = sorted(sized.candidates, key=lambda one: one.smallest_by_memory.way.number_format != wanted)
    for candidate in ordered:
        seen: set[tuple[int, Layout]] = set()
        for deployment in (
            candidate.smallest_by_memory,
            candidate.smallest_deployable,
            candidate.recommended,
        ):
            if deployment is not None and (deployment.accelerator_count, deployment.layout) not in seen:
                seen.add((deployment.accelerator_count, deployment.layout))
                yield deployment


def _as_size(request: CheckRequest) -> SizeRequest:
    return SizeRequest(
        model=request.model,
        config_json=request.config_json,
        kv_cache_format=request.kv_cache_format,
        engine=request.engine,
        engine_version=request.engine_version,
        policy=request.policy,
        load=request.load,
        max_accelerator_count=max(request.accelerator_count, MOST_BY_DEFAULT),
    )


def size(catalog: Catalog, request: SizeRequest) -> SizeAnswer:
    """Return the smallest deployments on every accelerator asked about, ranked, and why others cannot.

    Raises `QuestionRefused` with every field that cannot be.
    """
    require_sound_size(catalog, request)
    model = known_model(catalog, request.model, request.config_json)
    ids = request.accelerators or tuple(catalog.accelerators)
    accelerators = tuple(known_accelerator(catalog, name, "accelerators") for name in ids)
    sized = Sizing(ModelStudy(catalog, model), request).on(accelerators)
    priced = sorted((one for one in sized.candidates if _price(one) is not None), key=_rank(request))
    unpriced = sorted((one for one in sized.candidates if _price(one) is None), key=_by_count)
    deployments = [_best(one) for one in (*priced, *unpriced)]
    ranked = unpriced and not priced
    return SizeAnswer(
        model=model.id,
        sentence=size_sentence(model, unpriced if ranked else priced, "count" if ranked else request.rank_by),
        candidates=tuple(priced),
        unpriced=tuple(unpriced),
        rejections=_once(sized.rejections),
        published=recipes(catalog, model, ids, deployments, request.load),
        statements=tuple(_size_statements(model, request)),
        facts=facts_of(request, model, deployments),
    )


def _best(candidate: Candidate) -> Deployment:
    return candidate.recommended or candidate.smallest_deployable or candidate.smallest_by_memory


def _price(candidate: Candidate) -> float | None:
    return _best(candidate).cost_usd_per_hour


def _by_count(candidate: Candidate) -> Rank:
    return _ranked(candidate, float(_best(candidate).accelerator_count))


def _by_cost(candidate: Candidate) -> Rank:
    return _ranked(candidate, _price(candidate) or 0.0)


def _ranked(candidate: Candidate, amount: float) -> Rank:
    """Rank by ``amount``, the better quality first of what costs the same."""
    way = _best(candidate).way
    return candidate.recommended is None, amount, QUALITY_ORDER[way.quality], way.weights_bytes


def _rank(request: SizeRequest) -> Callable[[Candidate], Rank]:
    return _by_cost if request.rank_by == "cost" else _by_count


def _size_statements(model: Model, request: SizeRequest) -> Iterator[str]:
    load = request.load
    tokens = load.input_tokens + load.output_tokens
    yield f"Load held at once: {load.concurrency} x {tokens} tokens ({load.input_tokens} in, {load.output_tokens} out)."
    yield from (reason.sentence for reason in load_reasons(model, load, 0))
    yield DEEPEST_SEARCHED
    yield ONE_ENGINE
    yield SPEED_NOT_JUDGED
