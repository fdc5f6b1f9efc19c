"""What is told of a model: to the stages that plan with it, and to the trace that has to know it afterwards.

Doesn't call models.
"""

from __future__ import annotations

from hierarchy.calls import Tariff
from hierarchy.events import ModelFacts
from hierarchy.journal import identity_of
from hierarchy.margins import Margin, Margins
from hierarchy.models import Model

__all__ = ["facts_of", "tariff_of"]


def tariff_of(model: Model, margins: Margins) -> Tariff:
    """What stages are told of a model."""
    return Tariff(
        name=model.name,
        count=model.count,
        margin=lambda counted: margins.factor(model.name, model.margin, counted),
        price=model.price,
        context_tokens=getattr(model, "context_tokens", None),
        reasoning_tokens=getattr(model, "reasoning_tokens", 0),
        stages=getattr(model, "stages", None),
    )


def facts_of(model: Model, role: str, learned: Margin | None = None) -> ModelFacts:
    """What a trace keeps of a model."""
    stages = getattr(model, "stages", None)
    call = model.price(0, 0) or 0.0
    read, written = (None if price is None else price - call for price in (model.price(1, 0), model.price(0, 1)))
    return ModelFacts(
        role=role,
        name=model.name,
        identity=identity_of(model),
        counter=str(getattr(model.count, "encoding", "")),
        margin=model.margin,
        learned=(learned.ratio, learned.observations, learned.overhead_tokens) if learned else (),
        call_usd=call,
        input_usd=read,
        output_usd=written,
        context_tokens=getattr(model, "context_tokens", None),
        reasoning_tokens=getattr(model, "reasoning_tokens", 0),
        stages=None if stages is None else tuple(sorted(stages)),
    )
