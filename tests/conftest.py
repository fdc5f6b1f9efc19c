"""Shared fixtures."""

import signal
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

# The machines that run this are shared and noisy: no deadlines, and the same examples each time.
settings.register_profile("hierarchy", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hierarchy")


def pytest_configure() -> None:
    """A shell's background jobs ignore Ctrl-C; the tests send it, and so must what they start be able to get it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
