"""The contract against the domain and against its own promises, so that none drifts from another."""

from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from google.protobuf.descriptor import FieldDescriptor
from tonnage.v1 import audit_pb2, catalog_pb2, error_pb2, plan_pb2, sizing_pb2
from tonnage.v1 import deployment_pb2 as part

from domain.catalog import accelerator, fact, model
from domain.engine import answer as engine
from domain.planning import plan
from service.api.conversion import message_of, value_of
from service.api.refusal import STATUS, reason
from service.publication import canonical_content

MIRRORED = [
    (engine.CheckRequest, sizing_pb2.CheckDeploymentRequest),
    (engine.SizeRequest, sizing_pb2.SizeDeploymentRequest),
    (engine.Load, part.Load),
    (engine.Layout, part.Layout),
    (engine.EngineSupport, part.EngineSupport),
    (engine.Way, part.Way),
    (engine.RefusedFormat, part.RefusedFormat),
    (engine.Reason, part.Reason),
    (engine.Memory, part.Memory),
    (engine.Deployment, part.Deployment),
    (engine.PublishedRecipe, part.PublishedRecipe),
    (engine.Candidate, part.Candidate),
    (engine.Rejection, part.Rejection),
    (engine.PrecisionAnswer, part.PrecisionAnswer),
    (engine.CheckAnswer, part.CheckAnswer),
    (engine.SizeAnswer, part.SizeAnswer),
    (accelerator.ScaleUpLink, catalog_pb2.ScaleUpLink),
    (accelerator.Node, catalog_pb2.Node),
    (fact.Source, catalog_pb2.Source),
    (model.SelfAttention, catalog_pb2.SelfAttention),
    (model.LatentAttention, catalog_pb2.LatentAttention),
    (model.LinearAttention, catalog_pb2.LinearAttention),
    (model.CompressedAttention, catalog_pb2.CompressedAttention),
    (model.SparseIndexer, catalog_pb2.SparseIndexer),
    (model.DenseFeedForward, catalog_pb2.DenseFeedForward),
    (model.MixtureOfExperts, catalog_pb2.MixtureOfExperts),
    (model.Layer, catalog_pb2.Layer),
    (model.Model, catalog_pb2.Model),
    (accelerator.Accelerator, catalog_pb2.Accelerator),
    (model.Tower, catalog_pb2.Tower),
    (model.StoredWeights, catalog_pb2.StoredWeights),
    (plan.PlanApproved, audit_pb2.PlanApproved),
]
"""Dataclasses that a message shows whole."""

DERIVED = {
    model.Layer: {"self_attention", "latent_attention", "compressed_attention", "linear_attention"}
    | {"dense_feed_forward", "mixture_of_experts", "layer_count"},
    model.Model: {"layer_count", "parameters", "cache"},
    accelerator.Accelerator: {"unknown_peaks"},
}
"""Fields of a message that the dataclass has under another name, or that follow from it."""

APART = {"actor", "effective_at", "recorded_at"}
"""What every event says; its row shows it."""

DERIVED = {
    model.Layer: {"self_attention", "latent_attention", "compressed_attention", "linear_attention"}
    | {"dense_feed_forward", "mixture_of_experts", "layer_count"},
    model.Model: {"layer_count", "parameters", "cache"},
    accelerator.Accelerator: {"unknown_peaks"},
}
"""Fields of a message that the dataclass has under another name, or that follow from it."""

APART = {"actor", "effective_at", "recorded_at"}
"""What every event says; its row shows it."""


@pytest.mark.parametrize(("kind", "message"), MIRRORED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_message_has_every_field_of_its_dataclass(kind, message):
    shown = {field.name for field in fields(kind)} - APART - set(message.DESCRIPTOR.oneofs_by_name)
    assert shown == set(message.DESCRIPTOR.fields_by_name) - DERIVED.get(kind, set())


@pytest.mark.parametrize(("kind", "message"), MIRRORED, ids=lambda value: getattr(value, "__name__", ""))
def test_every_literal_of_the_domain_has_its_enum_value(kind, message):
    hints = get_type_hints(kind)
    for field in message.DESCRIPTOR.fields:
        if field.enum_type is not None:
            prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
            literals = {f"{prefix}{literal.upper()}" for literal in get_args(hints[field.name])}
            sent = {value.name for value in field.enum_type.values[1:] if not value.GetOptions().deprecated}
            assert literals == sent


def test_an_absent_number_stays_absent_and_comes_back():
    reason_without = engine.Reason(code="X", sentence="Because.")
    message = message_of(reason_without, part.Reason)
    assert not message.HasField("bytes")
    assert value_of(message, engine.Reason) == reason_without


def test_the_answers_of_the_engine_survive_the_way_there_and_back(catalog):
    for count in (1, 8, 12):
        request = engine.CheckRequest(
            model="deepseek-ai/DeepSeek-R1", accelerator="h800-sxm-80", accelerator_count=count
        )
        answer = engine.check(catalog, request)
        assert value_of(message_of(answer, part.CheckAnswer), engine.CheckAnswer) == answer
        assert value_of(message_of(request, sizing_pb2.CheckDeploymentRequest), engine.CheckRequest) == request
    sized = engine.size(catalog, engine.SizeRequest(model="deepseek-ai/DeepSeek-R1"))
    assert value_of(message_of(sized, part.SizeAnswer), engine.SizeAnswer) == sized


def test_every_refusal_has_its_reason_in_the_contract_and_none_is_promised_that_is_not_given():
    promised = {value.name.removeprefix("ERROR_REASON_") for value in error_pb2.ErrorReason.DESCRIPTOR.values}
    assert promised - {"UNSPECIFIED", "INTERNAL"} == {reason(refused) for refused in STATUS}


def test_every_refusal_of_a_plan_has_a_status():
    def below(kind: type[Exception]) -> set[type[Exception]]:
        return {kind, *(found for child in kind.__subclasses__() for found in below(child))}

    assert below(plan.PlanRefused) - {plan.PlanRefused} <= set(STATUS)


def test_every_method_of_the_contract_says_how_it_can_fail():
    # Comments are not in the descriptors that code is generated from: the sources are read.
    for source in Path(plan_pb2.__file__).parent.glob("*.proto"):
        text = source.read_text()
        assert text.count("\n  rpc ") == text.count("// Errors:")


def test_the_content_of_a_release_is_what_its_digest_was_taken_of(catalog):
    assert sha256(canonical_content(catalog)).hexdigest() == catalog.digest


def test_no_quantity_is_unsigned():
    unsigned = {FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64}
    for file in (part, plan_pb2, sizing_pb2, catalog_pb2, audit_pb2):
        for message in file.DESCRIPTOR.message_types_by_name.values():
            assert not [field.name for field in message.fields if field.type in unsigned]
