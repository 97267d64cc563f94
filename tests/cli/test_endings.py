"""Ctrl-C at any moment: the process ends at once with code 130, or says what it stops after; nothing crashes."""

import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest

from baichuan_jax.core.interrupt import STOPPED
from tests.cli.small import command, environment, run, write_config
from tests.cli.test_run import losses

START = [sys.executable, "-c", "from baichuan_jax.cli.start import start; start()", "run"]


def begin(config, workdir):
    """Start the whole recipe; return (process, when each line of its standard error came)."""
    lines = []
    process = subprocess.Popen(
        [*START, str(config), f"--set=RunConfig.workdir={workdir}", "--set=TrainConfig.steps=100000"],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    read = threading.Thread(target=lambda: lines.extend((time.monotonic(), line) for line in process.stderr))
    read.start()
    return process, lines, read


@pytest.mark.slow
def test_ctrl_c_at_any_moment_from_import_to_the_third_step(tmp_path):
    config = write_config(tmp_path)
    start = time.monotonic()
    process, _, read = begin(config, tmp_path / "first")
    while max(losses(tmp_path / "first"), default=0) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    until_third = time.monotonic() - start
    process.kill()
    read.join()
    rng = random.Random(19)
    for moment in [rng.uniform(0.1, until_third) for _ in range(20)]:
        workdir = tmp_path / f"{moment:.2f}"
        process, lines, read = begin(config, workdir)
        time.sleep(moment)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        code, ended = process.wait(timeout=60), time.monotonic()
        read.join()
        said = [line for _, line in lines]
        assert code == STOPPED, (moment, code, said)
        assert "Traceback" not in "".join(said), (moment, said)
        stopping = [at - sent for at, line in lines if "stopping after" in line]
        print(f"at {moment:.2f} s: {ended - sent:.2f} s", *stopping, said[-1:])
        assert ended - sent < 2 or stopping[0] < 0.5, (moment, said)


@pytest.mark.slow
def test_out_of_memory_names_the_settings_that_decide_in_a_line(tmp_path):
    """And with less asked for, the same run goes on."""
    config = write_config(tmp_path)
    for verb in ("data", "tokenizer"):
        run(verb, config)
    limited = subprocess.run(
        command("train", config, "--set=TrainConfig.batch=65536"),
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY)),
    )
    assert limited.returncode == 2, limited.stderr
    assert re.fullmatch(
        r"baichuan-jax: out of memory: TrainConfig.batch = 65536, TrainConfig.length = 32, TrainConfig.accumulate = 1, "
        r"DecoderConfig.remat = '\w+': .*\d+ bytes.*; lower batch or length, raise accumulate, or set remat to 'block'",
        limited.stderr.splitlines()[-1],
    )
    assert "Traceback" not in limited.stderr
    run("train", config)
