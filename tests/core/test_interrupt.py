import os
import signal
import threading

import pytest

from baichuan_jax.core.interrupt import stop_on_signal, taking_signals


@pytest.mark.parametrize("before", [signal.default_int_handler, signal.SIG_IGN], ids=["terminal", "background job"])
def test_the_first_signal_asks_and_the_second_acts(before):
    outside = signal.signal(signal.SIGINT, before)
    with taking_signals(), stop_on_signal() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.signal(signal.SIGINT, outside) is before


def test_a_library_leaves_signals_alone():
    def handler(*_):
        return None

    outside = signal.signal(signal.SIGINT, handler)
    with stop_on_signal() as stop:
        assert signal.getsignal(signal.SIGINT) is handler
        os.kill(os.getpid(), signal.SIGINT)
    assert not stop.requested
    assert signal.signal(signal.SIGINT, outside) is handler


def test_work_in_another_thread_handles_no_signals():
    seen = []

    def work():
        with stop_on_signal() as stop:
            seen.append(stop.requested)

    with taking_signals():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [False]
