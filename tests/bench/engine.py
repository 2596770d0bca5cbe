"""Times of the engine in process: one sizing over the catalog, one check, a column of checks."""

import random
import statistics
import time
from collections.abc import Callable, Iterator

from domain.catalog.release import Catalog
from domain.engine.answer import CheckRequest, EstimateRequest, Load, SizeRequest, check, check_column, estimate, size
from service.release_files import built_in

MODEL = "deepseek-ai/DeepSeek-V3"
COLUMN_LENGTH = 100_000
SEED = 7


def timed(question: Callable[[], object], times: int) -> tuple[float, float]:
    """Return median and largest seconds of ``times`` runs, after one that is not counted."""
    question()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        question()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), max(seconds)


def fleet(catalog: Catalog, length: int) -> Iterator[CheckRequest]:
    """Yield checks over thirty models and thirty accelerators in blank layouts, each with a load of its own."""
    chance = random.Random(SEED)
    models = sorted(catalog.models)[::3][:30]
    accelerators = sorted(one.id for one in catalog.accelerators.values() if one.memory_bytes >= 24e9)[:30]
    for _ in range(length):
        yield CheckRequest(
            model=chance.choice(models),
            accelerator=chance.choice(accelerators),
            accelerator_count=8,
            load=Load(
                input_tokens=chance.randint(1, 32_000),
                output_tokens=chance.randint(1, 4_000),
                concurrency=chance.randint(1, 256),
            ),
        )


def report() -> Iterator[str]:
    """Yield one line per figure."""
    catalog = built_in()
    request = CheckRequest(model=MODEL, accelerator="h200-sxm-141", accelerator_count=8)
    middle, most = timed(lambda: check(catalog, request), 50)
    yield f"check, {MODEL} on 8 x h200-sxm-141:        median {middle * 1e3:7.2f} ms   most {most * 1e3:7.2f} ms"
    small = CheckRequest(model="meta-llama/Llama-3.1-8B", accelerator="l40s", accelerator_count=1)
    middle, most = timed(lambda: check(catalog, small), 50)
    yield f"check, Llama-3.1-8B on 1 x l40s:           median {middle * 1e3:7.2f} ms   most {most * 1e3:7.2f} ms"
    for policy in ("allow_8bit", "allow_4bit"):
        middle, most = timed(lambda p=policy: size(catalog, SizeRequest(model=MODEL, policy=p)), 9)  # type: ignore[misc]
        yield f"size over the catalog, {policy}:           median {middle * 1e3:7.2f} ms   most {most * 1e3:7.2f} ms"
    asked = EstimateRequest(
        id="bench", model="Qwen/Qwen3-32B", accelerator="h100-sxm-80", accelerator_count=8, concurrency=64.0
    )
    middle, most = timed(lambda: estimate(catalog, asked), 50)
    yield f"estimate, Qwen3-32B on 8 x h100-sxm-80:    median {middle * 1e3:7.2f} ms   most {most * 1e3:7.2f} ms"
    column = list(fleet(catalog, COLUMN_LENGTH))
    middle, _ = timed(lambda: check_column(catalog, column), 3)
    yield f"{COLUMN_LENGTH} checks as one batch:       median {middle:7.2f} s"
