import os
import signal

import pytest

from baichuan_jax.core.interrupt import stop_on_signal


def test_the_first_signal_asks_and_the_second_acts():
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signal() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
