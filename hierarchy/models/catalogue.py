"""What is known of a provider's model by its name: provider, price, context, whether it reasons.

No network, and litellm isn't imported: it carries a map of models and a list of providers as JSON in its folder.
Reading the two takes some thirty milliseconds, importing litellm some seconds, so that a name can be checked and a
price quoted long before anything is called.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hierarchy.errors import InputError

__all__ = ["Entry", "entry_of", "is_own_host", "price", "provider_of", "reasons", "spelled"]

Entry = Mapping[str, Any]

_NOTHING: Entry = MappingProxyType({})
# Servers that run on one's own machine ask for no money, whatever the model.
_FREE = frozenset({"ollama", "ollama_chat", "lm_studio", "llamafile", "lemonade", "docker_model_runner"})
_TIER = re.compile(r"_above_(\d+)k_tokens$")
# Families that think before they reply unless told not to. Names come with and without a provider, a maker and a size.
_REASONING = re.compile(
    r"(?:^|[/:])(?:o[134](?:-(?:mini|pro))?(?:-\d|$)|gpt-[56](?!.*chat)|gpt-oss|deepseek-(?:r\d|reasoner)|qwq|qwen3(?!.*instruct)"
    r"|magistral|grok-(?:3-mini|[4-9])|gemini-(?:2\.5-(?:pro|flash(?!-lite))|[3-9])|kimi-k2-thinking|glm-(?:4\.[5-9]|[5-9])"
    r"|minimax-m\d|phi-4(?:-mini)?-reasoning)|-thinking|-reasoning",
    re.IGNORECASE,
)
# These reason too, but only if an option asks for it.
_ON_REQUEST = re.compile(r"claude|command|-chat|non-reasoning|gemini-2\.5-flash-lite|nova", re.IGNORECASE)
_OWN_HOSTS = re.compile(r"^(?:https?://)?(?:[\w-]+\.)*(?:openai\.com|openai\.azure\.com)(?=[:/]|$)", re.IGNORECASE)


def spelled(name: str, *, api_base: str | None = None) -> str:
    """The name as litellm is to be called with: with its provider in front, unless litellm knows it without.

    Behind an API base of one's own, a name without a provider is taken for an OpenAI-compatible server's.

    Raises:
        InputError: No provider can be told from the name; lists close matches.

    Example:
        >>> spelled("gpt-4o"), spelled("my-model", api_base="http://localhost:8000/v1")
        ('gpt-4o', 'openai/my-model')
    """
    head, slash, rest = name.partition("/")
    if slash and rest and head in _providers():
        return name
    if api_base:
        if name.strip("/ "):
            return f"openai/{name}"
    elif _map().get(name, _NOTHING).get("litellm_provider"):
        return name
    raise InputError(
        f"{name!r} names no model that can be called: no provider stands before it.",
        f"{_advice(name)} Names are spelled provider/model as in litellm, such as openai/gpt-4o, "
        "anthropic/claude-sonnet-4-5 or ollama/llama3; for a server of your own, give its API base as well.".strip(),
    )


def provider_of(name: str) -> str:
    """The provider of a name as `spelled` returns it."""
    head, slash, _ = name.partition("/")
    return head if slash and head in _providers() else str(_map().get(name, _NOTHING).get("litellm_provider", ""))


def entry_of(name: str) -> Entry:
    """What litellm's map says of a model; empty if it doesn't know it."""
    if name in _map():
        return _map()[name]
    provider, _, model = name.partition("/")
    entry = _map().get(model, _NOTHING)
    # Some are listed without their provider. One of another provider's by the same name isn't the same model.
    return entry if str(entry.get("litellm_provider", "")).startswith(provider) else _NOTHING


def is_own_host(api_base: str) -> bool:
    """Whether an API base is OpenAI's own, whose words are known, rather than somebody's who speaks like it."""
    return bool(_OWN_HOSTS.match(api_base))


def reasons(name: str, entry: Entry) -> bool:
    """Whether a model thinks before it replies without being asked to: output that is billed and that nobody sees."""
    if entry.get("default_reasoning_effort") == "none" or _ON_REQUEST.search(name):
        return False
    return bool(entry.get("supports_reasoning") or _REASONING.search(name))


def price(name: str, entry: Entry, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float | None:
    """What a call costs in USD; None where the price isn't known, or for counts that can't be.

    Args:
        name: The model.
        entry: As `entry_of` returned it.
        input_tokens: All of the prompt.
        output_tokens: All of the reply.
        cached_tokens: How many of the input tokens were served from the provider's cache, at their own price.
    """
    if provider_of(name) in _FREE:
        return 0.0
    read, written = (_rate(entry, f"{side}_cost_per_token", input_tokens) for side in ("input", "output"))
    if read is None or written is None or min(input_tokens, output_tokens) < 0:
        return None
    thought = _rate(entry, "output_cost_per_reasoning_token", input_tokens)
    cached = _rate(entry, "cache_read_input_token_cost", input_tokens)
    fresh = input_tokens - min(max(0, cached_tokens), input_tokens)
    per_call = max((entry.get("search_context_cost_per_query") or {"": 0.0}).values())
    return (
        fresh * read
        + (input_tokens - fresh) * (read if cached is None else cached)
        + output_tokens * max(written, thought or 0.0)
        + (per_call if provider_of(name) == "perplexity" else 0.0)  # Others search only if asked to.
    )


def _rate(entry: Entry, key: str, input_tokens: int) -> float | None:
    """The price of a token, dearer ones for long prompts included."""
    rates = [float(entry[key])] if entry.get(key) is not None else []
    for name, value in entry.items():
        tier = _TIER.search(name)
        if tier and name == key + tier[0] and value is not None and input_tokens > 1_000 * int(tier[1]):
            rates.append(float(value))
    return max(rates, default=None)


def _advice(name: str) -> str:
    if "/" in name:
        head, rest = name.split("/", 1)
        providers = [f"{match}/{rest}" for match in difflib.get_close_matches(head, _providers(), n=2, cutoff=0.75)]
        if providers:
            return f"Did you mean {' or '.join(providers)}?"
    by_model: dict[str, str] = {}
    chat = (model for model, entry in _map().items() if entry.get("mode") == "chat")
    for model in sorted(chat, key=len, reverse=True):  # The shortest spelling of each stays.
        by_model[model.rsplit("/", 1)[-1]] = model
    close = difflib.get_close_matches(name.rsplit("/", 1)[-1], by_model, n=3, cutoff=0.6)
    return f"Close to it: {', '.join(by_model[match] for match in close)}." if close else ""


@lru_cache(maxsize=1)
def _map() -> Mapping[str, Entry]:
    models: dict[str, Entry] = _read("model_prices_and_context_window_backup.json")
    return {name: entry for name, entry in models.items() if name != "sample_spec"}


@lru_cache(maxsize=1)
def _providers() -> frozenset[str]:
    listed = _read("provider_endpoints_support_backup.json").get("providers", {})
    return frozenset(
        [
            *listed,
            *_read("llms/openai_like/providers.json"),
            *(entry.get("litellm_provider") or "" for entry in _map().values()),
            "openai",
        ]
    ) - {"", "sample_spec"}


def _read(path: str) -> dict[str, Any]:
    """A JSON file of litellm's, empty if this version of litellm has none or litellm is missing."""
    litellm = find_spec("litellm")
    if not litellm or not litellm.origin:
        return {}
    try:
        read = json.loads((Path(litellm.origin).parent / path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
