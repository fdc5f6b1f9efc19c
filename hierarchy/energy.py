"""Energy: what replies took in watt-hours, **as ecologits estimates it and nobody measured it**.

The estimate follows from how many tokens a model wrote and how large it is, which for most models is a guess within
bounds; so it is a range, of which no end is the likelier. Reading a prompt isn't counted: for replies that are short
beside their prompts, as they are here, the range is rather too low than too high. Source: Rincé and Banse, "EcoLogits",
2025, and the methods described there.

Needs the extra `energy`; without it, and for models that ecologits doesn't know, nothing is known and nothing said. No
network is used: the package carries its figures. Doesn't know ledgers or answers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from hierarchy.budget import Usage
from hierarchy.calls import HELPER_STAGES

__all__ = ["bill_wh", "energy_wh", "estimator"]

_WH = 1_000.0  # in a kWh
# Who serves a model, as litellm names it before the slash, and as ecologits does.
_PROVIDERS = MappingProxyType(
    {
        "anthropic": "anthropic",
        "azure": "openai",
        "cohere": "cohere",
        "cohere_chat": "cohere",
        "gemini": "google_genai",
        "huggingface": "huggingface_hub",
        "mistral": "mistralai",
        "openai": "openai",
        "vertex_ai": "google_genai",
    }
)


def energy_wh(model: str, output_tokens: int, seconds: float | None = None) -> tuple[float, float] | None:
    """What a reply took, in watt-hours: the least and the most that it is estimated at.

    Args:
        model: As litellm spells it.
        output_tokens: How long the reply was, reasoning included.
        seconds: How long the call took, if it is known: a reply can't have kept a machine busy for longer.

    Returns:
        Both ends of the range; None where the model or the package isn't known.
    """
    known = _known(model) if output_tokens > 0 else None
    if known is None:
        return None
    from ecologits.tracers.utils import llm_impacts

    energy = llm_impacts(*known, output_tokens, math.inf if seconds is None else seconds).energy
    if energy is None:
        return None
    value: Any = energy.value  # a number, or a range where something about the model is a guess
    return float(getattr(value, "min", value)) * _WH, float(getattr(value, "max", value)) * _WH


def bill_wh(
    by_stage: Iterable[tuple[str, Usage]], model: str, summary_model: str | None = None
) -> tuple[float, float] | None:
    """What all replies of a bill took, each stage by the model that answers it.

    Args:
        by_stage: What each stage was billed.
        model: Who answers.
        summary_model: Who routes, summarises and reads branches; the one that answers if None.

    Returns:
        Both ends of the range; None where a model that wrote anything, or the package, isn't known.
    """
    low = high = 0.0
    wrote = False
    for stage, usage in by_stage:
        if usage.output_tokens <= 0:
            continue
        took = energy_wh(summary_model or model if stage in HELPER_STAGES else model, usage.output_tokens)
        if took is None:
            return None
        low, high, wrote = low + took[0], high + took[1], True
    return (low, high) if wrote else None


def estimator() -> str:
    """Who estimates, with its version; empty where nobody does.

    Example:
        >>> estimator().partition(" ")[0] in ("ecologits", "")
        True
    """
    try:
        return f"ecologits {version('ecologits')}"
    except PackageNotFoundError:
        return ""


@lru_cache(maxsize=64)
def _known(model: str) -> tuple[str, str] | None:
    """A model's provider and name as ecologits has them; None if it doesn't have it."""
    if find_spec("ecologits") is None:
        return None
    from ecologits.log import logger  # by its own name, `getLogger` would make one of another kind, which it can't use
    from ecologits.model_repository import models

    logger.addHandler(logging.NullHandler())  # what it logs of each model isn't for the screen
    head, slash, rest = model.partition("/")
    if slash and head in _PROVIDERS:
        found = [(_PROVIDERS[head], rest)]
    elif slash:
        return None
    else:
        found = [(provider, model) for provider in dict.fromkeys(_PROVIDERS.values())]
    return next((each for each in found if models.find_model(*each)), None)
