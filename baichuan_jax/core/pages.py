"""Memory in large pages, which has to be asked for before a process starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

MODE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
TUNABLE, NAME = "glibc.malloc.hugetlb", "GLIBC_TUNABLES"


def use_huge_pages() -> None:
    """Start this process again with an allocator that asks for pages of 2 MiB, where Linux gives them on request.

    A compiled program gets its temporaries from the system anew every time it runs; in pages of 4 KiB a train step on
    a CPU spends a fifth of its time on having them cleared. Does nothing where it would not help, or is set already.
    """
    wanted = glibc() >= (2, 35) and MODE.exists() and "[madvise]" in MODE.read_text()
    set_already = os.environ.get(NAME, "")
    if wanted and TUNABLE not in set_already:
        tunables = ":".join(filter(None, (set_already, f"{TUNABLE}=1")))
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, NAME: tunables})


def without_huge_pages() -> dict[str, str]:
    """Return the environment as it was before, for a process that is to run as its makers ship it."""
    kept = (part for part in os.environ.get(NAME, "").split(":") if TUNABLE not in part)
    return {**os.environ, NAME: ":".join(kept)}


def glibc() -> tuple[int, ...]:
    """Return the version of the C library, () where it is another one."""
    if "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}):
        return ()
    version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()[-1:]
    return tuple(int(part) for part in ".".join(version).split(".") if part.isdigit())
