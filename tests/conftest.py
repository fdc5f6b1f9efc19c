"""Shared fixtures."""

import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

# The machines that run this are shared and noisy: no deadlines, and the same examples each time.
settings.register_profile("hierarchy", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hierarchy")


def pytest_configure() -> None:
    """A shell's background jobs ignore Ctrl-C; the tests send it, and so must what they start be able to get it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def meaning_by_concept(monkeypatch):
    """In place of the small model that tells what texts mean: words of one concept mean the same, others nothing.

    Texts that were embedded are listed in what this gives.
    """
    from hierarchy.relevance import embedding

    concepts = (
        "doctor physician surgeon",
        "stopped ended discontinued",
        "medicine drug warfarin",
        "sales revenue income",
    )
    number = {word: at for at, words in enumerate(concepts) for word in words.split()}
    texts = []

    def encode(text):
        texts.append(text)
        words = "".join(letter if letter.isalpha() else " " for letter in text.lower()).split()
        return SimpleNamespace(ids=[number.get(word, len(concepts)) for word in words])

    def vector(_weights, ids):
        counts = np.bincount(np.minimum(ids, len(concepts)).astype(int), minlength=len(concepts) + 1).astype(np.float32)
        counts[-1] = 0.1
        return counts / np.linalg.norm(counts)

    monkeypatch.setattr(embedding, "_model", lambda: (SimpleNamespace(encode=encode), {}))
    monkeypatch.setattr(embedding, "_vector", vector)
    return texts
