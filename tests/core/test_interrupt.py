import os
import signal

import pytest

from baichuan_jax.core.interrupt import stop_on_signal


@pytest.mark.parametrize("before", [signal.default_int_handler, signal.SIG_IGN], ids=["terminal", "background job"])
def test_the_first_signal_asks_and_the_second_acts(before):
    outside = signal.signal(signal.SIGINT, before)
    with stop_on_signal() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.signal(signal.SIGINT, outside) is before
