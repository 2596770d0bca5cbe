"""What a load asks that the model cannot do, whatever the hardware."""

from collections.abc import Iterator

from domain.catalog.model import Model
from domain.engine.deployment import Load
from domain.engine.reason import Reason


def load_reasons(model: Model, load: Load, draft_tokens: int) -> Iterator[Reason]:
    """Yield a reason for a context longer than the model's and for drafts that nothing makes."""
    tokens = load.input_tokens + load.output_tokens
    if model.max_position_tokens is not None and tokens > model.max_position_tokens:
        sentence = f"{tokens} tokens of context: {model.id} is published for {model.max_position_tokens}."
        yield Reason(code="CONTEXT_EXCEEDED", sentence=sentence)
    if draft_tokens and not model.mtp_layer_count:
        sentence = f"{model.id} has no MTP module: drafts need a model of their own, which is not counted here."
        yield Reason(code="NO_MTP_MODULE", sentence=sentence)
