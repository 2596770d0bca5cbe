"""A scheduler played one step at a time, with one object per sequence: slow, plain, and written apart."""

from collections import deque
from dataclasses import dataclass
from math import ceil, floor, nan
from typing import Self

import numpy as np

from domain.engine.request_stream import Arrivals, ClosedLoop, Requests
from domain.engine.scheduler import Scheduler
from domain.engine.step_grid import StepGrid

LITTLE = 1e-6
SAME_INSTANT_S = 1e-9


@dataclass(eq=False)
class Sequence:
    arrival_s: float
    prompt: int
    left: int
    output: int
    said: float = 0.0
    first_s: float = nan
    last_s: float = nan

    def total(self, gain: float) -> float:
        return 1 + ceil((self.output - 1) / gain - LITTLE) * gain


def interpolated(grid: StepGrid, decoding: float, prefill: float, context: float) -> float:
    by_context = np.apply_along_axis(lambda line: np.interp(context, grid.context_tokens, line), 2, grid.step_s)
    by_prefill = np.apply_along_axis(lambda line: np.interp(prefill, grid.prefill_tokens, line), 1, by_context)
    return float(np.interp(decoding, grid.decoding_counts, by_prefill))


class StepwiseScheduler:
    def __init__(self, grid: StepGrid, scheduler: Scheduler, requests: Requests, arrivals: Arrivals) -> None:
        self.grid, self.rules = grid, scheduler
        self.clients = arrivals.concurrency if isinstance(arrivals, ClosedLoop) else 0
        times = np.zeros(requests.count) if isinstance(arrivals, ClosedLoop) else arrivals.arrival_s
        columns = times, requests.input_tokens, requests.cached_tokens, requests.output_tokens
        self.all = [
            Sequence(float(time), int(into), int(max(into - cached, 1)), int(out))
            for time, into, cached, out in zip(*columns, strict=True)
        ]
        self.to_come = deque(self.all)
        self.waiting = deque(self.to_come.popleft() for _ in range(min(self.clients, requests.count)))
        self.running: list[Sequence] = []
        self.time_s = self.peak_held = 0.0
        self.steps = self.preemptions = self.peak_running = 0

    def play(self) -> Self:
        while any(np.isnan(one.last_s) for one in self.all):
            if not self.running and not self.waiting:
                self.time_s = max(self.time_s, self.to_come[0].arrival_s)
            while not self.clients and self.to_come and self.to_come[0].arrival_s <= self.time_s + SAME_INSTANT_S:
                self.waiting.append(self.to_come.popleft())
            while self.held() > self.rules.kv_capacity_tokens + LITTLE:
                self.preempt()
            self.step()
        return self

    def held(self) -> float:
        return sum(one.prompt + one.said + self.rules.lost_tokens for one in self.running)

    def preempt(self) -> None:
        one = self.running.pop()
        one.prompt += floor(one.said + LITTLE)
        one.output -= floor(one.said + LITTLE)
        one.left, one.said = one.prompt, 0.0
        self.waiting.appendleft(one)
        self.preemptions += 1

    def fits(self, one: Sequence, room: int) -> bool:
        rules, gain = self.rules, self.rules.tokens_per_step
        promised = sum(other.total(gain) - other.said for other in self.running) + one.total(gain)
        held = self.held() + one.prompt + rules.lost_tokens + rules.reserved_output_fraction * promised
        whole = rules.chunked_prefill or room >= min(one.left, rules.batched_tokens)
        return whole and len(self.running) < rules.running_limit and held <= rules.kv_capacity_tokens + LITTLE

    def pieces(self, room: int) -> dict[Sequence, int]:
        """Prompt tokens by sequence in this step."""
        taken = {one: min(one.left, room) for one in self.running if one.left}
        while sum(taken.values()) < room and self.waiting and self.fits(self.waiting[0], room - sum(taken.values())):
            one = self.waiting.popleft()
            self.running.append(one)
            taken[one] = min(one.left, room - sum(taken.values()))
        return taken

    def step(self) -> None:
        rules, depth = self.rules, self.rules.pipeline_depth
        decoding = [one for one in self.running if not one.left]
        room = rules.batched_tokens
        if rules.order == "mixed":
            room -= ceil(len(decoding) / depth) * rules.scheduled_tokens
        taken = self.pieces(room * depth)
        if taken and rules.order == "prefill_first":
            decoding = []
        tokens = sum(taken.values())
        widest = min(tokens, room)
        assert widest + ceil(len(decoding) / depth) * rules.scheduled_tokens <= rules.batched_tokens
        context = sum(one.prompt + one.said for one in decoding) / max(len(decoding), 1)
        count = max(len(decoding) / depth, 1.0) if decoding else 0.0
        pairs = sum(piece * (one.prompt - one.left + piece / 2) for one, piece in taken.items())
        step_s = interpolated(self.grid, count, widest, context)
        step_s += self.grid.prefill_pair_s * pairs * (widest / tokens if tokens else 0.0)
        self.peak_held, self.peak_running = max(self.peak_held, self.held()), max(self.peak_running, len(self.running))
        self.time_s += depth * step_s
        self.steps += 1
        self.speak(decoding, taken)

    def speak(self, decoding: list[Sequence], taken: dict[Sequence, int]) -> None:
        for one in decoding:
            one.said += self.rules.tokens_per_step
        for one, piece in taken.items():
            one.left -= piece
            if not one.left:
                one.said = 1.0
                one.first_s = self.time_s if np.isnan(one.first_s) else one.first_s
        for one in [one for one in self.running if not one.left and one.said > one.output - LITTLE]:
            one.last_s = self.time_s
            self.running.remove(one)
            if self.clients and self.to_come:
                self.to_come[0].arrival_s = self.time_s
                self.waiting.append(self.to_come.popleft())
