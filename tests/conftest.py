"""Every test sees eight simulated CPU devices, and nothing but this machine."""

import atexit
import os
import shutil
import signal
import tempfile

# Most of the time of the tests is compilation, and LLVM's optimisations are two fifths of that.
os.environ["XLA_FLAGS"] = " ".join(
    ("--xla_force_host_platform_device_count=8", "--xla_backend_optimization_level=0", os.environ.get("XLA_FLAGS", ""))
)
os.environ["JAX_PLATFORMS"] = os.environ.get("TEST_PLATFORMS", "cpu")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["NO_GCE_CHECK"] = "true"  # tensorflow-datasets would ask the network where it runs

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background: what tests start would ignore it too
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What one test has compiled serves the others, those in other processes too: a sixth of the time of all.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="baichuan_jax-programs-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")

from hypothesis import settings

# Machines that test are shared: how long an example takes says little. Continuous integration runs the same examples
# each time, so that what it refuses is what the change did; everyone else looks for new ones.
settings.register_profile("shared", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("shared")

# Files that take longest come first, or one process has one of them to do when the other has nothing left.
LONGEST = (
    "tests/test_shipped.py",
    "tests/test_settings.py",
    "tests/cli/test_run.py",
    "tests/cli/test_convert.py",
    "tests/train/test_step.py",
)


def pytest_collection_modifyitems(items):
    places = {path: place for place, path in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))
