"""Events as text: one canonical form, every version read for ever, and nothing that is not what it says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.planning.happening import Happening
from domain.planning.plan import PlanApproved, PlanDrafted, PlanEvaluated, PlanRetired, PlanRevised
from domain.planning.publication import FactChange, ReleasePublished
from service.store import codec
from service.store.codec import TYPES, EncodedEvent, UnknownEvent, canonical, decode, encode
from service.store.form import NotInForm, from_plain, to_plain
from tests.planning.example import (
    ADA,
    BOB,
    CHECK,
    DOES_NOT_FIT,
    EIGHT_H200,
    FITS,
    MONDAY,
    SIZE,
    SIZED,
    TUESDAY,
    evaluation,
)

SAMPLES = Path(__file__).parents[1] / "data" / "events"

EXAMPLES: dict[str, Happening] = {
    "plan_drafted.1.json": PlanDrafted(actor=ADA, name="Chat", requirements=CHECK),
    "plan_revised.1.json": PlanRevised(actor=ADA, requirements=SIZE, reason="more users"),
    "plan_evaluated.1.json": PlanEvaluated(actor=ADA, inputs=SIZE, evaluation=evaluation(SIZED)),
    "plan_evaluated.check.1.json": PlanEvaluated(actor=ADA, inputs=CHECK, evaluation=evaluation(FITS)),
    "plan_approved.1.json": PlanApproved(actor=BOB, revision=2, comment="Agreed."),
    "plan_retired.1.json": PlanRetired(actor=ADA, reason="done"),
    "release_published.1.json": ReleasePublished(
        actor=ADA,
        release="2026-12",
        digest="b" * 64,
        parent_digest="a" * 64,
        changes=(FactChange(path="accelerators/h20-96/memory_bytes", why="measured"),),
    ),
}
"""What every sample said when it was written; a sample is never edited, and never deleted."""


def at(encoded: EncodedEvent) -> Happening:
    return decode(encoded, actor=ADA, recorded_at=MONDAY, effective_at=TUESDAY)


def sample(path: Path) -> EncodedEvent:
    name, version = path.name.split(".")[0], path.name.split(".")[-2]
    return EncodedEvent(type=name, schema_version=int(version), data=path.read_text().strip())


def test_every_type_has_a_sample_of_every_version():
    kept = {(one.type, one.schema_version) for one in map(sample, SAMPLES.glob("*.json"))}
    written = {(name, version) for name, (_, current) in TYPES.items() for version in range(1, current + 1)}
    assert kept == written


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_sample_says_what_it_said_when_it_was_written(name):
    expected = replace(EXAMPLES[name], recorded_at=MONDAY, effective_at=TUESDAY)
    decoded = at(sample(SAMPLES / name))
    assert replace(decoded, actor=expected.actor) == expected


NEWEST = [name for name in EXAMPLES if sample(SAMPLES / name).schema_version == TYPES[name.split(".")[0]][1]]


@pytest.mark.parametrize("name", NEWEST)
def test_what_is_written_today_is_the_newest_sample(name):
    encoded = encode(EXAMPLES[name])
    assert encoded == sample(SAMPLES / name)


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=EXAMPLES)
def test_an_event_survives_the_way_through_text(event):
    decoded = at(encode(event))
    assert decoded == replace(event, actor=ADA, recorded_at=MONDAY, effective_at=TUESDAY)


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=EXAMPLES)
def test_the_text_is_canonical(event):
    text = encode(event).data
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False).replace(
        "e+", "e"
    )


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=EXAMPLES)
def test_time_and_identity_stand_beside_the_data(event):
    assert not {"actor", "recorded_at", "effective_at"} & json.loads(encode(event).data).keys()


def test_a_class_may_be_renamed_because_its_stored_name_is_its_own():
    assert encode(EXAMPLES["plan_drafted.1.json"]).type == "plan_drafted"
    assert "PlanDrafted" not in TYPES
    assert "CheckRequest" not in encode(EXAMPLES["plan_drafted.1.json"]).data


def test_a_past_version_is_brought_up_step_by_step(monkeypatch):
    monkeypatch.setitem(TYPES, "plan_retired", (PlanRetired, 3))
    monkeypatch.setitem(codec.UPCASTS, ("plan_retired", 1), lambda data: {"why": data["because"]})
    monkeypatch.setitem(codec.UPCASTS, ("plan_retired", 2), lambda data: {"reason": data["why"]})
    for version, data in ((1, '{"because":"old"}'), (2, '{"why":"old"}'), (3, '{"reason":"old"}')):
        event = at(EncodedEvent(type="plan_retired", schema_version=version, data=data))
        assert event == PlanRetired(actor=ADA, reason="old", recorded_at=MONDAY, effective_at=TUESDAY)


def test_a_field_that_was_added_later_takes_its_default():
    event = at(EncodedEvent(type="plan_approved", schema_version=1, data='{"revision":2}'))
    assert isinstance(event, PlanApproved)
    assert event.comment == ""


@pytest.mark.parametrize(("name", "version"), [("plan_vanished", 1), ("plan_retired", 2)], ids=["type", "version"])
def test_an_event_from_the_future_is_not_guessed_at(name, version):
    with pytest.raises(UnknownEvent):
        at(EncodedEvent(type=name, schema_version=version, data='{"reason":"?"}'))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("{}", "reason missing or unknown"),
        ('{"reason":"x","reasons":"y"}', "reasons missing or unknown"),
        ('{"reason":7}', "reason.str expected, 7 found"),
        ('{"reason":null}', "reason.str expected, None found"),
        ("[]", "PlanRetired expected, list found"),
    ],
)
def test_what_is_not_in_form_is_refused_with_its_place(data, said):
    with pytest.raises(NotInForm, match=f"plan_retired version 1: .*{said}"):
        at(EncodedEvent(type="plan_retired", schema_version=1, data=data))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_not_kept(number):
    broken = replace(EIGHT_H200, power_w=number)
    with pytest.raises(NotInForm):
        to_plain(broken)


def test_a_union_is_told_apart_by_its_stored_kind():
    plain = to_plain(evaluation(DOES_NOT_FIT))
    assert plain["answer"]["kind"] == "check_answer"
    plain["answer"]["kind"] = "guess"
    with pytest.raises(NotInForm, match=r"answer\.kind 'guess'"):
        from_plain(type(evaluation()), plain)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**53), 2**53)))
def test_canonical_text_does_not_depend_on_the_order_of_keys(values):
    assert canonical(values) == canonical(dict(reversed(values.items())))
