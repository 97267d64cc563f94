"""The command line of a process whose third batch meets a fault: python -m tests.cli.faulty FAULT VERB ..."""

import errno
import os
import sys

from baichuan_jax.cli.main import leave, main
from baichuan_jax.train import loop

FAULTS = {
    "none": None,
    "i/o": OSError(errno.EIO, os.strerror(errno.EIO), "train-00000.bin"),
    "full": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "train-00000.bin"),
    "bug": ZeroDivisionError("by zero"),
}


def met(fault: Exception | None) -> None:
    """Raise a fault when the third batch is placed on devices."""
    place, placed = loop.place, []

    def faulty(*arguments):
        placed.append(arguments)
        if fault is not None and len(placed) == 3:
            raise fault
        return place(*arguments)

    loop.place = faulty


if __name__ == "__main__":
    met(FAULTS[sys.argv[1]])
    leave(main(sys.argv[2:]))
