"""Requests that mean harm, made from a seed: broken bytes, impossible values, and writes that do not add up."""

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from tonnage.v1 import audit_pb2 as audit
from tonnage.v1 import catalog_pb2 as catalog
from tonnage.v1 import plan_pb2 as plan
from tonnage.v1 import sizing_pb2 as sizing

from tests.api.calling import H200, R1

METHODS: dict[str, type[Message]] = {
    f"/{service.full_name}/{method.name}": getattr(module, method.input_type.name)
    for module in (catalog, sizing, plan, audit)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
} | {"/grpc.health.v1.Health/Check": catalog.GetModelRequest}

CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "max_position_embeddings": 32768,
    "use_sliding_window": False,
}

TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "'; DROP TABLE events; --",
    "../../../etc/passwd",
    "%s%n{0}${jndi:ldap://x}",
    "\u202egnp.exe",
    "\U0001f4a5" * 50,
    "\ufeff\u200b",
    "x" * 199,
    "x" * 300_000,
    "nan",
    "-1",
    "null",
    "[" * 10_000,
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
)
NUMBERS = (math.nan, math.inf, -math.inf, -0.0, -1.0, 0.0, 1e-320, 1e308, 0.5, 2.0)
WHOLES = (0, 1, -1, 2, 7, 4096, 4097, 2**31 - 1, -(2**31))
LONGS = (*WHOLES, 2**63 - 1, -(2**63))

HEADED = 0.4
"""Share of the calls that come with headers of their own."""


SUBJECTS = ("pia", "abe", "eve", "", " ", "'; DROP TABLE actors; --", "%s{0}", "..", "p" * 200, "p" * 201, "p" * 5_000)
WORKSPACES = (
    *("default", "acme", "umbrella", "", " ", "*", "system", "SYSTEM", "public", "a b", "../acme", "acme*", '"'),
    *("'; DROP TABLE plans; --", "%", "-1", "w" * 100, "w" * 101, "w" * 5_000),
)


Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass
class Hostile:
    """A call that may mean harm."""

    method: str
    content: bytes
    metadata: Metadata = ()


@dataclass
class Hostility:
    """An endless source of hostile calls; what is accepted nevertheless is told back to it."""

    seed: int
    plans: list[plan.Plan] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def call(self) -> Hostile:
        """Return the next call."""
        kinds: tuple[Callable[[], Hostile], ...] = (
            self.noise,
            self.broken,
            self.twisted,
            self.untimely,
            self.described,
        )
        made = self.random.choice(kinds)()
        made.metadata = self.headers() if self.random.random() < HEADED else ()
        return made

    def headers(self) -> Metadata:
        """Headers that somebody may have put there: twice, too long, of random bytes, or of nobody."""
        size = self.random.choice((0, 1, 100, 2_000))
        every: Metadata = (
            ("x-tonnage-subject", self.random.choice(SUBJECTS)),
            ("x-tonnage-workspace", self.random.choice(WORKSPACES)),
            ("x-tonnage-workspace", self.random.choice(WORKSPACES)),
            ("x-tonnage-workspace-bin", self.random.randbytes(size)),
            ("grpc-trace-bin", self.random.randbytes(size)),
            ("authorization", "Bearer " + "x" * size),
            ("x-noise", "".join(chr(self.random.randint(32, 126)) for _ in range(size))),
        )
        return tuple(self.random.sample(every, self.random.randint(1, 3)))

    def noise(self) -> Hostile:
        """Random bytes."""
        size = self.random.choice((0, 1, 2, 10, 100, 5_000))
        return Hostile(self.random.choice(list(METHODS)), self.random.randbytes(size))

    def broken(self) -> Hostile:
        """A sound request with some bytes changed, cut or doubled."""
        method, request = self.sound()
        content = bytearray(request.SerializeToString())
        for _ in range(self.random.randint(1, 8)):
            place = self.random.randrange(len(content) + 1)
            match self.random.randrange(3):
                case 0:
                    content[place : place + 1] = self.random.randbytes(1)
                case 1:
                    del content[place : place + self.random.randint(1, 9)]
                case _:
                    content[place:place] = content[: self.random.randint(0, 40)]
        return Hostile(method, bytes(content))

    def twisted(self) -> Hostile:
        """A sound request with some fields set to what they cannot be."""
        method, request = self.sound()
        for _ in range(self.random.randint(1, 4)):
            self.twist(request)
        return Hostile(method, request.SerializeToString())

    def untimely(self) -> Hostile:
        """A write with a wrong revision, an unknown plan or a request id that was used before."""
        method, request = self.write()
        match self.random.randrange(3):
            case 0 if hasattr(request, "expected_revision"):
                request.expected_revision = self.random.choice((1, 2, 3, 99, 2**62))
            case 1 if hasattr(request, "plan_id"):
                request.plan_id = self.uuid()
            case _:
                request.request_id = self.random.choice(self.request_ids or [self.uuid()])
        return Hostile(method, request.SerializeToString())

    def described(self) -> Hostile:
        """A config.json with fields that no model has."""
        config: dict[str, Any] = dict(CONFIG)
        for _ in range(self.random.randint(1, 3)):
            name = self.random.choice(list(config))
            config[name] = self.random.choice(
                (None, -1, 0, 1, 10**9, 10**30, 1.5, True, "x", [], {}, [1] * 1000, "9" * 400, {"a": {"b": [None]}})
            )
        text = json.dumps(config)
        request: Message = self.random.choice(
            (
                catalog.ImportModelRequest(model="mine", config_json=text),
                sizing.SizeDeploymentRequest(model="mine", config_json=text, accelerators=[H200]),
                sizing.CheckDeploymentRequest(model="mine", config_json=text, accelerator=H200, accelerator_count=1),
            )
        )
        return Hostile(path_of(request), request.SerializeToString())

    def sound(self) -> tuple[str, Any]:
        """A request that would be answered."""
        if self.random.random() < 0.4:
            return self.write()
        request = self.random.choice(
            (
                catalog.ListModelsRequest(page_size=3),
                catalog.GetModelRequest(model=R1),
                catalog.ListAcceleratorsRequest(generation="hopper"),
                catalog.GetAcceleratorRequest(accelerator=H200),
                sizing.ResolvePrecisionRequest(model=R1, accelerator=H200),
                self.check(),
                sizing.SizeDeploymentRequest(model=R1, accelerators=[H200, "a100-sxm-80"]),
                plan.GetPlanRequest(plan_id=self.plan().plan_id),
                plan.ListPlansRequest(page_size=5),
                audit.ListEventsRequest(page_size=5),
            )
        )
        return path_of(request), request

    def write(self) -> tuple[str, Any]:
        """A write that would be accepted, but for the moment it comes at."""
        standing, request_id = self.plan(), self.uuid()
        at: Any = {
            "request_id": request_id,
            "plan_id": standing.plan_id,
            "expected_revision": max(1, standing.revision),
        }
        asked = plan.Requirements(check=self.check())
        request: Message = self.random.choice(
            (
                plan.DraftPlanRequest(request_id=request_id, name="plan", requirements=asked),
                plan.RevisePlanRequest(**at, requirements=asked, reason="why not"),
                plan.ApprovePlanRequest(**at, evaluated_revision=max(1, standing.evaluated_revision)),
                plan.RetirePlanRequest(**at, reason="enough"),
            )
        )
        return path_of(request), request

    def check(self) -> sizing.CheckDeploymentRequest:
        """A question about fixed hardware."""
        count = self.random.choice((8, 16))
        return sizing.CheckDeploymentRequest(model=R1, accelerator=H200, accelerator_count=count)

    def plan(self) -> plan.Plan:
        """A plan that stands, or one that nobody knows."""
        return self.random.choice(self.plans) if self.plans else plan.Plan(plan_id=self.uuid(), revision=1)

    def uuid(self) -> str:
        """A UUID of its own."""
        return str(UUID(bytes=self.random.randbytes(16), version=4))

    def twist(self, message: Message) -> None:
        """Set one field somewhere in the message to what it should not be."""
        chosen: Any = self.random.choice(list(message.DESCRIPTOR.fields))
        if chosen.message_type is not None and not chosen.is_repeated:
            self.twist(getattr(message, chosen.name))
        elif chosen.message_type is None:
            value = self.value(chosen)
            if chosen.is_repeated:
                getattr(message, chosen.name).extend([value] * self.random.choice((1, 2, 500)))
            else:
                setattr(message, chosen.name, value)

    def value(self, chosen: Any) -> Any:
        """A value that the field can carry and should not."""
        if chosen.enum_type is not None:
            return self.random.choice((99, -1, 2**31 - 1))
        match chosen.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING:
                return self.random.choice(TEXTS)
            case FieldDescriptor.CPPTYPE_DOUBLE:
                return self.random.choice(NUMBERS)
            case FieldDescriptor.CPPTYPE_INT64:
                return self.random.choice(LONGS)
            case FieldDescriptor.CPPTYPE_BOOL:
                return True
            case _:
                return self.random.choice(WHOLES)


def path_of(request: Message) -> str:
    """Return the path of the rpc that takes the request."""
    return next(path for path, kind in METHODS.items() if kind is type(request) and path.startswith("/tonnage."))
