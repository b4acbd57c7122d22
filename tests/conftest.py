from __future__ import annotations

from hypothesis import HealthCheck, settings

# Machines are noisy, and the first text drawn in a fresh checkout builds a table: no test here asserts a time.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
