"""The smallest deployments of a model, accelerator by accelerator and precision by precision."""

from collections.abc import Iterator
from dataclasses import dataclass

from domain.catalog.accelerator import Accelerator, Node
from domain.catalog.serving_engine import ServingEngine
from domain.engine.deployment import Candidate, Deployment, Rejection, SizeRequest
from domain.engine.explaining import link_reasons
from domain.engine.judging import Room, evaluated
from domain.engine.layout_search import Group, legal_groups, searched_layouts
from domain.engine.layout_table import LayoutTable, layout_table
from domain.engine.parallelism import Degrees
from domain.engine.placement import Search, replicas_for, smallest_by_memory, smallest_deployable
from domain.engine.precision import RefusedFormat, Way
from domain.engine.question import engine_key
from domain.engine.reason import Reason
from domain.engine.setting import ModelStudy, Setting, engine_for, is_known_to_run, no_engine_sentence, setting_for
from domain.engine.wording import counted, in_gb

NEEDLESS = frozenset(
    {"BF16_IS_BETTER", "WIDER_THAN_NEEDED", "NOT_SMALLER_THAN_STORED", "SAVES_NOTHING", "AGAINST_POLICY"}
)
"""Refusals that say a format would serve nothing here; they are no reason against the accelerator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """What a search found: candidates, and why the rest is none."""

    candidates: tuple[Candidate, ...]
    rejections: tuple[Rejection, ...]
    accelerators: tuple[Accelerator, ...]


class Sizing:
    """One model sized on many accelerators; tables are shared between accelerators that need the same."""

    def __init__(
        self,
        study: ModelStudy,
        request: SizeRequest,
        *,
        with_mtp: bool = False,
        memory_fraction: float | None = None,
    ) -> None:
        """Group the nodes by accelerator; nothing is evaluated yet."""
        self._study = study
        self._request = request
        self._with_mtp = with_mtp
        self._memory_fraction = memory_fraction
        self._most_devices = 1
        self._layouts: dict[tuple[str, str], tuple[Degrees, ...]] = {}
        self._groups: dict[tuple[str, str, int], tuple[Group, ...]] = {}
        self._tables: dict[tuple[str, str, str, str], LayoutTable] = {}
        self._nodes: dict[str, list[Node]] = {}
        for node in study.catalog.nodes.values():
            self._nodes.setdefault(node.accelerator, []).append(node)

    def on(self, accelerators: tuple[Accelerator, ...]) -> Sized:
        """Return the candidates and rejections on ``accelerators``."""
        self._most_devices = max((one.devices_per_card for one in accelerators), default=1)
        found = [outcome for accelerator in accelerators for outcome in self._on_one(accelerator)]
        return Sized(
            candidates=tuple(outcome for outcome in found if isinstance(outcome, Candidate)),
            rejections=tuple(outcome for outcome in found if isinstance(outcome, Rejection)),
            accelerators=accelerators,
        )

    def _on_one(self, accelerator: Accelerator) -> Iterator[Candidate | Rejection]:
        precision = self._study.resolver.resolve(accelerator, self._request.policy, self._request.weight_format)
        wanted = self._request.weight_format
        for refused in precision.refused:
            if refused.code not in NEEDLESS and wanted in {None, refused.number_format}:
                yield _refused(accelerator, refused)
        for way in precision.ways:
            if wanted in {None, way.number_format}:
                yield self._with_way(accelerator, way)

    def _with_way(self, accelerator: Accelerator, way: Way) -> Candidate | Rejection:
        asked = engine_key(self._request.engine, self._request.engine_version)
        engine = engine_for(self._study.catalog, accelerator, way, asked=asked, attention_data_parallel=1)
        if engine is None:
            return _rejection(
                accelerator,
                way,
                Reason(code="NO_ENGINE_RUNS_IT", sentence=no_engine_sentence(accelerator, way, self._request.engine)),
            )
        setting = setting_for(
            self._study,
            accelerator,
            way,
            engine,
            with_mtp=self._with_mtp,
            cache_format=self._request.kv_cache_format,
            memory_fraction=self._memory_fraction,
        )
        return self._candidate(setting)

    def _candidate(self, setting: Setting) -> Candidate | Rejection:
        table = self._table(setting)
        evaluation = evaluated(table, setting, self._request.load)
        search = Search(
            evaluation=evaluation,
            replicas=replicas_for(evaluation),
            nodes=tuple(self._nodes.get(setting.accelerator.id, ())),
            accelerator_limit=self._request.max_accelerator_count,
        )
        smallest = smallest_by_memory(search)
        if smallest is None:
            return _rejection(
                setting.accelerator, setting.way, _does_not_fit(table, search.room, setting, self._request)
            )
        deployable = smallest_deployable(search, allow_marginal=True)
        is_sound = deployable is not None and deployable.verdict == "fits"
        recommended = deployable if is_sound else smallest_deployable(search, allow_marginal=False)
        return Candidate(
            smallest_by_memory=smallest,
            smallest_deployable=deployable,
            recommended=recommended,
            reasons=(
                *_reasons(search, deployable, recommended),
                *link_reasons(self._study.catalog, recommended or deployable or smallest),
            ),
        )

    def _table(self, setting: Setting) -> LayoutTable:
        engine, limits = setting.engine, setting.keeping.limits
        key = (
            setting.way.number_format,
            f"{engine.id}@{engine.version}",
            setting.cache_format,
            limits.card_class,
        )
        if key not in self._tables:
            load = self._request.load
            layouts = self._legal_layouts(setting, engine)
            self._tables[key] = layout_table(
                setting.footprint, setting.keeping, layouts, float(load.input_tokens + load.output_tokens)
            )
        return self._tables[key]

    def _legal_layouts(self, setting: Setting, engine: ServingEngine) -> tuple[Degrees, ...]:
        key = (setting.way.number_format, engine.id)
        if key not in self._layouts:
            limit = self._request.max_accelerator_count * self._most_devices
            groups = self._legal_groups(engine, limit)
            self._layouts[key] = searched_layouts(setting.footprint, engine, groups, limit)
        return self._layouts[key]

    def _legal_groups(self, engine: ServingEngine, limit: int) -> tuple[Group, ...]:
        key = (engine.id, engine.version, limit)
        if key not in self._groups:
            self._groups[key] = legal_groups(self._study.model, engine, limit, self._request.load.concurrency)
        return self._groups[key]


def _refused(accelerator: Accelerator, refused: RefusedFormat) -> Rejection:
    return Rejection(
        accelerator=accelerator.id,
        number_format=refused.number_format,
        reason=Reason(code=refused.code, sentence=refused.sentence),
    )


def _rejection(accelerator: Accelerator, way: Way, reason: Reason) -> Rejection:
    return Rejection(accelerator=accelerator.id, number_format=way.number_format, reason=reason)


def _does_not_fit(table: LayoutTable, room: Room, setting: Setting, request: SizeRequest) -> Reason:
    within = table.ranks <= request.max_accelerator_count * setting.accelerator.devices_per_card
    shortfall = -float(room.least_bytes[within].max())
    limit = counted(request.max_accelerator_count, "accelerator")
    if shortfall <= 0.0:
        return Reason(code="LOAD_TOO_LARGE", sentence=f"The load does not fit on up to {limit}.")
    return Reason(
        code="DOES_NOT_FIT",
        sentence=f"On up to {limit}, the best layout still lacks {in_gb(shortfall)} on its fullest device.",
        bytes=shortfall,
    )


def _reasons(search: Search, deployable: Deployment | None, recommended: Deployment | None) -> Iterator[Reason]:
    accelerator = search.setting.accelerator
    if not search.nodes:
        sentence = f"The catalog knows no node type that carries {accelerator.name}: whole nodes are not judged."
        yield Reason(code="NODE_NOT_KNOWN", sentence=sentence)
    elif deployable is None:
        yield Reason(code="NO_WHOLE_NODES", sentence="No legal layout fills whole nodes within the limit.")
    elif recommended is None or recommended.accelerator_count > deployable.accelerator_count:
        count = counted(deployable.accelerator_count, "accelerator")
        yield Reason(code="MARGINAL", sentence=f"{count} hold it, with under 8 % of the budget left for the cache.")
    if not is_known_to_run(search.setting.way, search.setting.engine.id):
        sentence = f"No source says that {search.setting.engine.name} runs {search.setting.way.number_format} here."
        yield Reason(code="ENGINE_SUPPORT_NOT_KNOWN", sentence=sentence)
    if search.setting.usable_kind == "assumed":
        nominal = in_gb(accelerator.memory_bytes)
        sentence = f"What a runtime reports on {accelerator.name} is not known; the nominal {nominal} is used."
        yield Reason(code="USABLE_MEMORY_ASSUMED", sentence=sentence)
