"""Shared fixtures."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

# The machines that run this are shared and noisy: no deadlines, and the same examples each time.
settings.register_profile("hierarchy", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hierarchy")
