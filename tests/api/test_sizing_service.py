"""Questions to the engine over a real channel."""

import pytest
from grpc import StatusCode
from tonnage.v1 import deployment_pb2 as part
from tonnage.v1 import sizing_pb2 as pb

from domain.engine.answer import ENGINE_VERSION
from tests.api.calling import H200, R1, checking


async def test_every_way_to_run_a_model_is_returned(planner):
    request = pb.ResolvePrecisionRequest(model=R1, accelerator="a100-sxm-80")
    answer = (await planner.call(planner.sizing.ResolvePrecision, request)).answer
    ways = {(way.number_format, way.path) for way in answer.ways}
    assert {("fp8", part.WAY_PATH_WEIGHT_ONLY), ("bf16", part.WAY_PATH_CONVERTED)} <= ways
    assert answer.policy == part.POLICY_ALLOW_8BIT
    assert all(refused.code and refused.sentence for refused in answer.refused)


async def test_a_stricter_policy_refuses_more(planner):
    request = pb.ResolvePrecisionRequest(model=R1, accelerator="a100-sxm-80", policy=part.POLICY_LOSSLESS)
    strict = (await planner.call(planner.sizing.ResolvePrecision, request)).answer
    assert {way.quality for way in strict.ways} == {part.QUALITY_LOSSLESS}


async def test_671b_in_fp8_fits_on_eight_h200(planner, catalog):
    response = await planner.call(planner.sizing.CheckDeployment, checking(8))
    assert response.answer.verdict == part.VERDICT_FITS
    assert response.answer.deployment.way.number_format == "fp8"
    assert response.basis == part.Basis(
        catalog_release=catalog.release, catalog_digest=catalog.digest, engine_version=ENGINE_VERSION
    )


async def test_that_it_does_not_fit_is_an_answer_with_the_missing_bytes(planner):
    request = checking(16, accelerator="a100-sxm-80", weight_format="bf16")
    answer = (await planner.call(planner.sizing.CheckDeployment, request)).answer
    assert answer.verdict == part.VERDICT_DOES_NOT_FIT
    shortfall = next(reason.bytes for reason in answer.reasons if reason.code == "DOES_NOT_FIT")
    assert shortfall == pytest.approx(-answer.deployment.memory.headroom_bytes)
    assert answer.smaller_or_larger


async def test_a_layout_that_is_asked_for_is_judged(planner):
    request = checking(8, tensor_parallel=1, attention_data_parallel=8, load=part.Load(concurrency=64))
    answer = (await planner.call(planner.sizing.CheckDeployment, request)).answer
    layout = answer.deployment.layout
    assert (layout.tensor_parallel, layout.attention_data_parallel) == (1, 8)


async def test_the_smallest_deployments_are_found(planner):
    request = pb.SizeDeploymentRequest(model=R1, accelerators=[H200, "h100-sxm-80"], rank_by=part.RANK_BY_COUNT)
    answer = (await planner.call(planner.sizing.SizeDeployment, request)).answer
    best = {
        candidate.recommended.accelerator: candidate.recommended.accelerator_count
        for candidate in answer.candidates
        if candidate.recommended.way.number_format == "fp8"
    }
    assert best == {H200: 8, "h100-sxm-80": 16}


async def test_that_nothing_holds_it_is_an_answer(planner):
    request = pb.SizeDeploymentRequest(model=R1, accelerators=["rtx-3080-10"], max_accelerator_count=2)
    answer = (await planner.call(planner.sizing.SizeDeployment, request)).answer
    assert not answer.candidates
    assert not answer.unpriced
    assert answer.rejections


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("model", {"model": "deepseek-ai/DeepSeek-R3"}),
        ("accelerator", {"accelerator": "h200-sxm"}),
        ("weight_format", {"weight_format": "fp9"}),
        ("engine", {"engine": "vlm"}),
        ("config_json", {"config_json": "{}"}),
    ],
)
async def test_what_makes_no_question_is_refused_by_field(planner, field, given):
    request = pb.CheckDeploymentRequest(**({"model": R1, "accelerator": H200, "accelerator_count": 8} | given))
    refused = await planner.refused(planner.sizing.CheckDeployment, request)
    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "QUESTION_REFUSED")
    assert field in refused.fields


async def test_more_that_is_wrong_than_a_client_takes_is_counted(planner):
    strangers = [str(number) + "\U0001f4a5" * 90 for number in range(200)]
    request = pb.SizeDeploymentRequest(model="\U0001f4a5" * 200, accelerators=strangers)
    refused = await planner.refused(planner.sizing.SizeDeployment, request)
    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "QUESTION_REFUSED")
    assert refused.fields


async def test_every_rule_that_is_broken_fits_into_one_refusal(planner):
    request = pb.SizeDeploymentRequest(model=R1, accelerators=[""] * 150)
    refused = await planner.refused(planner.sizing.SizeDeployment, request)
    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID")
    assert "more" in refused.fields[""]
