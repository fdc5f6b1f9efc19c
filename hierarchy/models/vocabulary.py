"""How a model behind a provider counts: the closest vocabulary that is at hand, and by how much it may count higher."""

from __future__ import annotations

import re

from hierarchy.tokens import TiktokenCounter

__all__ = ["OTHER_MARGIN", "OWN_MARGIN", "REASONING_TOKENS", "counter_of", "is_openai_family"]

OWN_MARGIN = 1.12
"""OpenAI counts as tiktoken does, and some seven tokens for the message around a prompt: a tenth of the shortest."""

OTHER_MARGIN = 1.35
"""What other families' tokenizers count more, and servers that say nothing of theirs, before any bill was seen."""

REASONING_TOKENS = 2_000
"""What is allowed beside a reply for hidden thinking, unless told otherwise."""

_NEWER = re.compile(r"gpt-4o|gpt-4\.[15]|chatgpt-4o|gpt-[5-9]|gpt-oss|(?:^|/)o[134](?:-|$)")
_OLDER = re.compile(r"(?:^|/)(?:ft:)?gpt-(?:4|3\.5)")


def counter_of(name: str) -> TiktokenCounter:
    """A counter for a model: o200k_base for OpenAI's newer families, else cl100k_base."""
    return TiktokenCounter("o200k_base" if _NEWER.search(name) else "cl100k_base")


def is_openai_family(name: str) -> bool:
    """Whether tiktoken has the very vocabulary of the model."""
    return bool(_NEWER.search(name) or _OLDER.search(name))
