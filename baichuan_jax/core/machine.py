"""What this machine has, and what this process has used of it."""

from __future__ import annotations

import os
import re
import resource
import sys
from pathlib import Path

MEMINFO, LIMIT, USED = "/proc/meminfo", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"
CPUINFO = "/proc/cpuinfo"


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Return the bytes of memory that are free for this process; of all where the system does not tell."""
    try:
        found = re.search(r"MemAvailable: +(\d+) kB", Path(MEMINFO).read_text(encoding="utf-8"))
    except OSError:
        found = None
    if found is None:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = 1024 * int(found[1])
    try:
        limit, used = (Path(path).read_text(encoding="utf-8").strip() for path in (LIMIT, USED))
    except OSError:
        return free
    return min(free, int(limit) - int(used)) if limit.isdigit() else free


def total_memory() -> int:
    """Return the bytes of memory of this machine, or of its control group."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path(LIMIT).read_text(encoding="utf-8").strip()
    except OSError:
        return whole
    return min(whole, int(limit)) if limit.isdigit() else whole


def multiplies_bfloat16() -> bool:
    """Return whether the processor has AVX-512's products of bfloat16, as far as the system tells."""
    try:
        found = re.search(r"^flags\s*:(.*)$", Path(CPUINFO).read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return False
    return found is not None and "avx512_bf16" in found[1].split()


def peak_process_memory() -> int:
    """Return the most memory that this process has had at once, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def has_accelerator() -> bool:
    """Return whether there is a GPU or TPU that JAX would take, as far as that can be told without JAX."""
    if os.environ.get("JAX_PLATFORMS", "") == "cpu":
        return False
    return any(
        found for pattern in ("nvidia[0-9]*", "accel[0-9]*", "vfio/[0-9]*") for found in Path("/dev").glob(pattern)
    )
