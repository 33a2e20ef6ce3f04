"""What holds for all tests."""

import os

from hypothesis import HealthCheck, settings

# How fast a machine is says nothing about the code: no deadline, and no complaint about slow examples. Where `CI` is
# set the same examples are tried each time, so that a change is judged by itself; elsewhere new ones are looked for.
settings.register_profile(
    "house",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
)
settings.load_profile("house")
