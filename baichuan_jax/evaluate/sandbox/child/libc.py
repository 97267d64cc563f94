"""C library functions that Python does not expose."""

from __future__ import annotations

import ctypes
import os
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> int:
    """Call a function with integers, bytes and pointers. Raise OSError with its name if it returns -1."""
    as_long = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    try:
        result = getattr(_LIBC, name)(*as_long)
    except AttributeError:
        raise OSError(os.strerror(38), f"the C library has no {name}") from None
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}{arguments}: {os.strerror(code)}")
    return result
