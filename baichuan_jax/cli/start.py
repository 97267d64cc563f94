"""The entry point of the command: `cli.main`, in a process with large pages."""

import os
import signal

from baichuan_jax.core.pages import use_huge_pages


def start() -> None:
    """Run the command line; what is imported before a process starts again is imported twice."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # nothing has begun
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until the process that starts again comes here
    use_huge_pages()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    from baichuan_jax.cli.main import leave, main

    leave(main())
