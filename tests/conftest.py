"""Every test sees eight simulated CPU devices, and nothing but this machine."""

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8 " + os.environ.get("XLA_FLAGS", "")
os.environ["JAX_PLATFORMS"] = os.environ.get("TEST_PLATFORMS", "cpu")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["NO_GCE_CHECK"] = "true"  # tensorflow-datasets would ask the network where it runs

from hypothesis import settings

# Machines that test are shared: how long an example takes says little. Continuous integration runs the same examples
# each time, so that what it refuses is what the change did; everyone else looks for new ones.
settings.register_profile("shared", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("shared")
