"""Estimates: what is answered, what is refused, and what stands behind a figure."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.engine.estimate import EstimateRequest
from domain.engine.estimating import estimate
from domain.engine.question import QuestionRefused
from service.estimate_lines import answered_lines
from tests.release import catalog

LLAMA = EstimateRequest(
    id="llama",
    model="meta-llama/Llama-3.1-70B",
    accelerator="h100-sxm-80",
    accelerator_count=4,
    tensor_parallel=4,
    weight_format="fp8",
    engine="vllm",
    input_tokens=1024.0,
    output_tokens=512.0,
    concurrency=32.0,
)


def asked(**changes: Any) -> Any:
    return estimate(catalog(), replace(LLAMA, **changes))


def test_an_estimate_gives_every_figure_with_its_interval_evidence_and_parts():
    answer = asked()
    assert answer.fits
    assert answer.method == "closed_form"
    by_metric = {interval.metric: interval for interval in answer.interval_90}
    assert by_metric["tpot_s"].low < answer.tpot_s.mean < by_metric["tpot_s"].high
    assert by_metric["output_tokens_per_s"].low < answer.output_tokens_per_s < by_metric["output_tokens_per_s"].high
    assert answer.evidence.model_count > 0
    assert answer.tpot_s.mean < answer.tpot_s.p95 < answer.tpot_s.p99
    assert {part.name for part in answer.parts} >= {"attention", "dense_layers", "tensor_messages", "overhead"}


def test_a_model_that_was_never_measured_says_so():
    answer = asked(model="microsoft/phi-4", weight_format="bf16", accelerator_count=2, tensor_parallel=2)
    assert answer.evidence.model_count == 0
    assert answer.evidence.knowledge == "class"


def test_a_configuration_that_does_not_fit_says_by_how_much():
    answer = asked(accelerator_count=1, tensor_parallel=1, weight_format="bf16")
    assert not answer.fits
    assert answer.reasons[0].code == "DOES_NOT_FIT"
    assert answer.reasons[0].bytes > 50e9
    assert answer.tpot_s is None


def test_an_accelerator_whose_peak_is_not_known_is_not_guessed():
    answer = asked(accelerator="mi308x", accelerator_count=4, weight_format="bf16")
    assert [reason.code for reason in answer.reasons] == ["PEAK_NOT_KNOWN"]


@pytest.mark.parametrize(
    "changes",
    [
        {"concurrency": None},
        {"concurrency": 1.0, "all_queued": True},
        {"concurrency": 0.0},
        {"concurrency": float("nan")},
        {"concurrency": 1e12},
        {"input_tokens": -1.0},
        {"output_tokens": float("inf")},
        {"input_tokens": 1e12},
        {"accelerator_count": 0},
        {"speculative_draft_tokens": -1},
        {"model": "no/such-model"},
        {"accelerator": "h1000"},
    ],
)
def test_a_question_that_cannot_be_is_refused(changes):
    with pytest.raises(QuestionRefused):
        asked(**changes)


def test_a_load_that_the_system_cannot_hold_is_not_a_large_number():
    answer = asked(concurrency=None, request_rate_per_s=500.0)
    assert answer.saturated
    assert answer.reasons[0].code == "DOES_NOT_HOLD"
    assert answer.sentence == "This load is not held: the queue grows without end."


def test_an_open_load_that_is_held_delivers_what_comes():
    answer = asked(concurrency=None, request_rate_per_s=1.0)
    assert answer.method == "simulation"
    assert not answer.saturated
    assert answer.output_tokens_per_s == pytest.approx(512.0, rel=0.1)


def test_a_burst_ends_when_its_last_request_ends():
    few, many = asked(concurrency=None, request_count=10), asked(concurrency=None, request_count=1000)
    assert many.ttft_s.mean > few.ttft_s.mean
    assert many.output_tokens_per_s > few.output_tokens_per_s


def test_drafts_that_are_accepted_shorten_the_time_between_tokens():
    assert asked(speculative_draft_tokens=1).tpot_s.mean < asked().tpot_s.mean


@settings(max_examples=25)
@given(concurrency=st.floats(1, 400), more=st.floats(1, 400))
def test_time_between_tokens_does_not_fall_with_concurrency(concurrency, more):
    assert asked(concurrency=concurrency + more).tpot_s.mean >= asked(concurrency=concurrency).tpot_s.mean


@settings(max_examples=25)
@given(concurrency=st.floats(1, 800))
def test_throughput_does_not_fall_with_a_second_replica(concurrency):
    one, two = asked(concurrency=concurrency), asked(concurrency=concurrency, accelerator_count=8, replicas=2)
    assert two.output_tokens_per_s >= one.output_tokens_per_s * (1 - 1e-9)


def test_every_line_is_answered_in_order_and_a_bad_one_becomes_an_error():
    good = {
        "id": "a",
        "model": "meta-llama/Llama-3.1-8B",
        "accelerator": "h100-sxm-80",
        "accelerator_count": 1,
        "concurrency": 8,
        "engine": "",
        "replicas": None,
    }
    lines = [json.dumps(good), "{", json.dumps(good | {"id": "c", "tensor": 3}), "", json.dumps(good | {"id": "d"})]
    first, second, third, fourth = (json.loads(line) for line in answered_lines(lines, catalog()))
    assert (first["id"], fourth["id"]) == ("a", "d")
    assert first["fits"]
    assert set(first["tpot_s"]) == {"mean", "p50", "p95", "p99"}
    assert first["memory"]["weights_bytes"] == pytest.approx(16.06e9, rel=0.01)
    assert first["interval_90"]["tpot_s"]["low"] < first["tpot_s"]["mean"]
    assert second["error"]["fields"][0]["field"] == "line"
    assert third["error"]["fields"][0]["field"] == "tensor"


def test_a_line_without_what_is_required_names_every_missing_field():
    (line,) = answered_lines(['{"id": "x", "concurrency": "many"}'], catalog())
    fields = [refusal["field"] for refusal in json.loads(line)["error"]["fields"]]
    assert fields == ["model", "accelerator", "accelerator_count", "concurrency"]
