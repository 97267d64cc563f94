"""Two processes that write one checkpoint: where one of them cannot, both give it up at once."""

import json
import os
import socket
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_a_checkpoint_that_one_process_cannot_write_is_given_up_by_both(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "train/checkpoints"
    flags = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=1"}
    command = [sys.executable, "-m", "tests.train.two_writers"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": flags}
    processes = [subprocess.Popen([*command, str(number), str(port), str(folder)], **pipes) for number in range(2)]
    found = []
    for process in processes:
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        found.append([json.loads(line) for line in out.splitlines() if line.startswith("[") and "Gloo" not in line])
    for number, lines in enumerate(found):
        saves, [restored] = lines[:5], lines[5:]
        assert [(step, there) for step, there, _ in saves] == [(1, [1]), (2, [1]), (3, [1]), (4, [1, 4]), (5, [4, 5])]
        for step, (_, _, news) in zip((2, 3), saves[1:3]):
            where = "" if (step == 2) == (number == 1) else f"process {3 - step}: "
            [line] = news
            assert line.startswith(f"the checkpoint of step {step} is not written: {where}a file may not become that ")
        assert restored[:3] == ["restored", 4, {"next_index": 4}]
        assert restored[4]
    assert "5 cannot be read (its file " in found[0][5][3][0]
    assert (tmp_path / "train-aside/5").is_dir()
