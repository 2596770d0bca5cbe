"""Times of the scheduler's simulation; what compiling or loading takes is timed apart."""

import time
from collections.abc import Iterator
from functools import partial

import numpy as np

from domain.engine.request_stream import Arrivals, ClosedLoop, Requests, burst, lognormal_lengths, poisson
from domain.engine.scheduler import Scheduler
from domain.engine.simulation import prepare, simulate
from domain.engine.step_grid import StepGrid
from tests.bench.engine import timed

REQUEST_COUNT = 1000
BAR_S = 5e-3


def grid() -> StepGrid:
    """Return step times like those of a 70B model on eight cards."""
    counts = np.array([0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024.0])
    prefills = np.array([0, 64, 128, 256, 512, 1024, 2048, 4096, 8192.0])
    contexts = np.array([0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768.0])
    sequences, prompt, context = np.meshgrid(counts, prefills, contexts, indexing="ij")
    return StepGrid(
        decoding_counts=counts,
        prefill_tokens=prefills,
        context_tokens=contexts,
        step_s=0.005 + 1e-5 * sequences + 2e-5 * prompt + 1e-8 * sequences * context,
        prefill_pair_s=1e-10,
    )


def vllm(**changed: float) -> Scheduler:
    """Return the rules of vLLM on a large card, but for what is changed."""
    return Scheduler(
        order="mixed",
        chunked_prefill=True,
        sequence_limit=1024,
        batched_tokens=int(changed.get("batched_tokens", 8192)),
        kv_capacity_tokens=changed.get("kv_capacity_tokens", 2e6),
        block_tokens=16,
        reserved_output_fraction=0.0,
        tokens_per_step=1.0,
        scheduled_tokens=1,
        pipeline_depth=1,
    )


def spread(into: float, out: float) -> Requests:
    """Return a thousand requests of lognormal lengths."""
    return Requests(
        input_tokens=lognormal_lengths(REQUEST_COUNT, mean_tokens=into, variation=0.5, seed=1),
        cached_tokens=np.zeros(REQUEST_COUNT, np.int64),
        output_tokens=lognormal_lengths(REQUEST_COUNT, mean_tokens=out, variation=0.5, seed=2),
    )


def questions() -> Iterator[tuple[str, Scheduler, Requests, Arrivals]]:
    """Yield questions of a thousand requests each."""
    chat = spread(1024, 512)
    yield "closed loop of 64, 1024 in, 512 out", vllm(), chat, ClosedLoop(concurrency=64)
    yield "closed loop of 256, cache runs out", vllm(kv_capacity_tokens=1e5), chat, ClosedLoop(concurrency=256)
    yield "burst", vllm(), chat, burst(REQUEST_COUNT)
    for rate in (2.0, 8.0, 20.0):
        yield f"Poisson, {rate:g} requests/s", vllm(), chat, poisson(REQUEST_COUNT, rate_per_s=rate, seed=3)
    yield "16k in, 8k out, steps of 2048", vllm(batched_tokens=2048), spread(16384, 8192), ClosedLoop(concurrency=64)


def report() -> Iterator[str]:
    """Yield one line per figure."""
    start = time.perf_counter()
    prepare()
    yield f"simulation, compiling or loading:          {time.perf_counter() - start:7.2f} s, once per process"
    for name, rules, requests, arrivals in questions():
        question = partial(simulate, grid(), rules, requests, arrivals)
        middle, most = timed(question, 50)
        steps = question().step_count
        verdict = "within" if middle <= BAR_S else "ABOVE"
        yield (
            f"{name + ':':42} median {middle * 1e3:7.2f} ms   most {most * 1e3:7.2f} ms   "
            f"{steps:9d} steps   {verdict} {BAR_S * 1e3:g} ms"
        )
