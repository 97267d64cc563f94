"""How long this process has been at work."""

from __future__ import annotations

import os
import time
from pathlib import Path

IMPORTED = time.monotonic()


def process_age() -> float:
    """Return the seconds since this process started; where the system does not tell, since this module was imported."""
    try:
        started = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
    except OSError:
        return time.monotonic() - IMPORTED
