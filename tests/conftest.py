from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# What the helpers assert is told as fully as what a test asserts. This has to come before anybody imports them.
pytest.register_assert_rewrite("tests.support")

# Packages that tests build are not there to be fast: without optimizing they compile in a quarter of the time.
os.environ["CFLAGS"] = "-O0"

# Machines are noisy, and the first text drawn in a fresh checkout builds a table: no test here asserts a time.
# Fifty examples a run: there are many runs, and scripts/fuzz looks deeper.
settings.register_profile("patient", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
