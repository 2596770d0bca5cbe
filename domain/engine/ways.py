"""Every way to run a model on an accelerator under a policy, ordered and explained."""

from dataclasses import dataclass

from domain.catalog.accelerator import Accelerator
from domain.catalog.model import Model
from domain.catalog.number_format import FormatSupport, NumberFormat, Quality
from domain.catalog.release import Catalog
from domain.catalog.serving_engine import ServingEngine
from domain.engine.arithmetic import FULL_FORMATS, SIXTEEN_BIT_FORMATS, Arithmetic, Lacking, arithmetics
from domain.engine.model import weight_parts
from domain.engine.precision import EngineSupport, Path, Policy, PrecisionAnswer, RefusedFormat, Way
from domain.engine.storage import component_bytes, stored_bytes
from domain.engine.wording import in_gb, in_tflops

QUALITY_ORDER: dict[Quality, int] = {"lossless": 0, "near_lossless": 1, "lossy": 2}
LEAST_ELEMENT_BITS: dict[Policy, float] = {"lossless": 16.0, "allow_8bit": 8.0, "allow_4bit": 4.0}
NO_KERNEL = "NO_KERNEL"
"""How reasons begin that say software lacks, not hardware: they count after the caller's own policy."""
LEAST_SAVING = 0.95
"""A quantisation that leaves more than this share of the bytes serves nothing."""
SUPPORTING_PATHS: dict[Path, tuple[str, ...]] = {
    "native": ("native", "converted"),
    "quantized": ("native", "converted"),
    "weight_only": ("weight_only",),
    "converted": ("native", "converted"),
}


class PrecisionResolver:
    """Resolves one model on many accelerators; what does not depend on the accelerator is computed once."""

    def __init__(self, catalog: Catalog, model: Model) -> None:
        """Order the catalog's support rows by what they are asked for."""
        self.catalog = catalog
        self.model = model
        self._parts = weight_parts(model)
        self._sizes: dict[str, float] = {}
        self._rows: dict[tuple[str, str], list[FormatSupport]] = {}
        self._supports: dict[tuple[str, str, str, Path], tuple[EngineSupport, ...]] = {}
        for row in catalog.format_support:
            self._rows.setdefault((row.generation, row.number_format), []).append(row)

    def weights_bytes(self, number_format: NumberFormat) -> float:
        """Bytes of the whole model in ``number_format``, without MTP modules."""
        if number_format.id not in self._sizes:
            scheme = component_bytes(self.model, number_format, self.catalog.number_formats)
            self._sizes[number_format.id] = stored_bytes(self._parts, scheme)
        return self._sizes[number_format.id]

    def support_rows(self, generation: str, number_format: NumberFormat) -> tuple[FormatSupport, ...]:
        """What is known of a format on a generation, over all engines."""
        return tuple(self._rows.get((generation, number_format.id), ()))

    def support(self, accelerator: Accelerator, number_format: NumberFormat, path: Path) -> tuple[EngineSupport, ...]:
        """What each engine that runs on the accelerator is known to do with the format; once for a generation."""
        key = (accelerator.vendor, accelerator.generation, number_format.id, path)
        if key not in self._supports:
            rows = self.support_rows(accelerator.generation, number_format)
            self._supports[key] = tuple(
                _engine_support(engine, number_format, path, tuple(row for row in rows if row.engine == engine.id))
                for engine in runnable_engines(self.catalog, accelerator)
            )
        return self._supports[key]

    def resolve(self, accelerator: Accelerator, policy: Policy, asked: str | None = None) -> PrecisionAnswer:
        """Return every way to run the model on ``accelerator``, best first, and every format that is refused.

        Best is quality, then bytes, then the rate of the arithmetic. A way that no serving engine is known to
        run is kept and says so: not known is not no. A format that is ``asked`` for is not refused for another
        being better.
        """
        question = _Question(resolver=self, accelerator=accelerator, policy=policy, asked=asked)
        outcomes = [
            outcome
            for number_format in self.catalog.number_formats.values()
            if number_format.for_weights
            for outcome in _judged(question, number_format)
        ]
        return PrecisionAnswer(
            model=self.model.id,
            accelerator=accelerator.id,
            policy=policy,
            ways=tuple(sorted((way for way in outcomes if isinstance(way, Way)), key=_order)),
            refused=tuple(refusal for refusal in outcomes if isinstance(refusal, RefusedFormat)),
            facts=facts_read(accelerator, self.model),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    resolver: PrecisionResolver
    accelerator: Accelerator
    policy: Policy
    asked: str | None

    @property
    def stored(self) -> NumberFormat:
        return self.resolver.catalog.number_formats[self.resolver.model.stored.number_format]

    def rows(self, number_format: NumberFormat) -> tuple[FormatSupport, ...]:
        return self.resolver.support_rows(self.accelerator.generation, number_format)


def facts_read(accelerator: Accelerator, model: Model) -> tuple[str, ...]:
    """Paths of the facts that decide precision."""
    peaks = tuple(f"accelerators/{accelerator.id}/{name}_flops_per_s" for name in ("bf16", "fp16", "fp8", "int8"))
    return (f"models/{model.id}", f"accelerators/{accelerator.id}/support", *peaks)


def _order(way: Way) -> tuple[int, float, float]:
    return QUALITY_ORDER[way.quality], way.weights_bytes, -(way.peak_flops_per_s or 0.0)


def _judged(question: _Question, number_format: NumberFormat) -> tuple[Way | RefusedFormat, ...]:
    possible = arithmetics(question.accelerator, number_format, question.rows(number_format))
    if isinstance(possible, Lacking) and not possible.code.startswith(NO_KERNEL):
        return (_refusal(number_format, possible),)
    needless = _against_policy(question, number_format) or _needless(question, number_format)
    if needless is not None:
        return (_refusal(number_format, needless),)
    if isinstance(possible, Lacking):
        return (_refusal(number_format, possible),)
    return tuple(_way(question, number_format, arithmetic) for arithmetic in possible)


def _refusal(number_format: NumberFormat, lacking: Lacking) -> RefusedFormat:
    return RefusedFormat(number_format=number_format.id, code=lacking.code, sentence=lacking.sentence)


def _needless(question: _Question, number_format: NumberFormat) -> Lacking | None:
    stored = question.stored
    if (
        number_format.id == "fp16"
        and question.asked != "fp16"
        and stored.id != "fp16"
        and question.accelerator.support["bf16"] in {"native", "emulated"}
    ):
        return Lacking(
            code="BF16_IS_BETTER",
            sentence="The accelerator has BF16, which keeps the range of the checkpoint.",
        )
    if number_format.id == stored.id or number_format.id in FULL_FORMATS:
        return None
    if _replaces_stored(question, number_format):
        return None
    if number_format.element_bits >= stored.element_bits and stored.id not in FULL_FORMATS:
        sentence = f"The checkpoint is {stored.name} already; {number_format.name} would lose quality and save nothing."
        return Lacking(code="NOT_SMALLER_THAN_STORED", sentence=sentence)
    if question.resolver.weights_bytes(number_format) > LEAST_SAVING * question.resolver.weights_bytes(stored):
        sentence = f"{number_format.name} would leave almost every weight of this model as it is."
        return Lacking(code="SAVES_NOTHING", sentence=sentence)
    return None


def _replaces_stored(question: _Question, number_format: NumberFormat) -> bool:
    """INT8 in place of an FP8 checkpoint: the same bytes, for units that have no FP8."""
    return (
        number_format.element_bits == question.stored.element_bits
        and number_format.compute_type == "int8"
        and question.accelerator.support["fp8"] != "native"
    )


def _against_policy(question: _Question, number_format: NumberFormat) -> Lacking | None:
    if _quality(question, number_format) == "lossless":
        return None
    if number_format.element_bits >= LEAST_ELEMENT_BITS[question.policy] and question.policy != "lossless":
        return None
    quality, policy = number_format.quality.replace("_", " "), question.policy.replace("_", " ")
    return Lacking(code="AGAINST_POLICY", sentence=f"{number_format.name} is {quality}; the policy is {policy}.")


def _quality(question: _Question, number_format: NumberFormat) -> Quality:
    if number_format.id == question.stored.id or number_format.id in FULL_FORMATS:
        return "lossless"
    return number_format.quality


def _way(question: _Question, number_format: NumberFormat, arithmetic: Arithmetic) -> Way:
    path = _path(question, number_format, arithmetic)
    size_bytes = question.resolver.weights_bytes(number_format)
    peak = question.accelerator.peak_flops_per_s.get(arithmetic.compute_type)
    return Way(
        number_format=number_format.id,
        path=path,
        quality=_quality(question, number_format),
        compute_type=arithmetic.compute_type,
        weights_bytes=size_bytes,
        peak_flops_per_s=peak,
        engines=question.resolver.support(question.accelerator, number_format, path),
        requires=_requirement(question, number_format, arithmetic),
        sentence=_sentence(question, number_format, arithmetic, size_bytes),
    )


def _path(question: _Question, number_format: NumberFormat, arithmetic: Arithmetic) -> Path:
    if arithmetic.path == "weight_only":
        return "weight_only"
    if number_format.id == question.stored.id:
        return "native"
    return "converted" if number_format.id in FULL_FORMATS else "quantized"


def _requirement(question: _Question, number_format: NumberFormat, arithmetic: Arithmetic) -> str:
    stored = question.stored
    if number_format.id == stored.id:
        return arithmetic.remark
    if number_format.id == "fp16":
        return f"a checkpoint converted from {stored.name} to FP16: values beyond 65 504 overflow, check the range"
    if number_format.id in FULL_FORMATS:
        return f"a checkpoint converted from {stored.name} to {number_format.name}"
    return f"a checkpoint quantised from {stored.name} to {number_format.name}"


def _sentence(question: _Question, number_format: NumberFormat, arithmetic: Arithmetic, size_bytes: float) -> str:
    peak = question.accelerator.peak_flops_per_s.get(arithmetic.compute_type)
    rate = f"at {in_tflops(peak)} dense" if peak else "at a rate that the catalog does not know"
    stored = "as published" if number_format.id == question.stored.id else f"instead of {question.stored.name}"
    units = arithmetic.compute_type.upper()
    how = (
        f"stored as {number_format.name}, multiplied in {units}"
        if arithmetic.path == "weight_only"
        else f"multiplied in {units}"
    )
    remark = f"; {arithmetic.remark}" if arithmetic.remark else ""
    warning = (
        "; range warning: FP16 overflows beyond 65 504"
        if number_format.id == "fp16" and question.stored.id != "fp16"
        else ""
    )
    return f"{number_format.name} {stored}, {how} {rate}: {in_gb(size_bytes)} of weights{remark}{warning}."


def runnable_engines(catalog: Catalog, accelerator: Accelerator) -> tuple[ServingEngine, ...]:
    """Serving engines, newest release of each, that run on the accelerator, in the catalog's order of preference."""
    return tuple(
        engine for key, engine in catalog.serving_engines.items() if "@" not in key and runs_on(engine, accelerator)
    )


def runs_on(engine: ServingEngine, accelerator: Accelerator) -> bool:
    """Whether the engine is made for this vendor and generation."""
    return accelerator.vendor in engine.vendors and accelerator.generation not in engine.excluded_generations


def _engine_support(
    engine: ServingEngine, number_format: NumberFormat, path: Path, rows: tuple[FormatSupport, ...]
) -> EngineSupport:
    for row in rows:
        if row.path in SUPPORTING_PATHS[path] or row.path == "no":
            return EngineSupport(
                engine=engine.id,
                engine_version=row.engine_version,
                answer="no" if row.path == "no" else "yes",
                source=row.source,
            )
    if number_format.id in SIXTEEN_BIT_FORMATS:
        return EngineSupport(
            engine=engine.id,
            engine_version=engine.version,
            answer="yes",
            source=f"serving_engines/{engine.id}/vendors",
        )
    return EngineSupport(engine=engine.id, engine_version="", answer="not_known", source="")
