"""Processes that do not fit together, or do not come: each ends with the same exit code and one message, in time."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from tests.cli.small import command
from tests.cli.test_processes import finish, launch, losses, port, prepared, quick, settings, start, workdir

__all__ = ["prepared"]
LIMIT = 10  # seconds, of an idle machine
HEARTBEAT = 4


def told(processes, code):
    """Return the only message of processes that end in time with this code, each the same."""
    begun = time.monotonic()
    written = [process.communicate(timeout=600)[1] for process in processes]
    seconds = time.monotonic() - begun
    assert [process.returncode for process in processes] == [code] * len(processes), written
    messages = [[line for line in text.splitlines() if line.startswith("baichuan-jax: ")] for text in written]
    assert [len(each) for each in messages] == [1] * len(processes), written
    assert not any("Traceback" in text for text in written), written
    assert seconds < LIMIT * max(1.0, os.getloadavg()[0] / os.cpu_count()), f"{seconds:.0f} s"
    assert len({each[0] for each in messages}) == 1, messages
    return messages[0][0].removeprefix("baichuan-jax: ")


@pytest.mark.slow
def test_settings_that_differ(prepared, tmp_path):
    both = workdir(prepared, tmp_path / "both")
    message = told(start("train", prepared, both, other=("--set=OptimConfig.peak_lr=1e-4",)), 2)
    assert "OptimConfig.peak_lr is 0.005 in process 0 and 0.0001 in process 1" in message
    assert not (both / "train").exists()


@pytest.mark.slow
def test_code_that_differs(prepared, tmp_path):
    both, copy = workdir(prepared, tmp_path / "both"), tmp_path / "code"
    shutil.copytree("baichuan_jax", copy / "baichuan_jax")
    with (copy / "baichuan_jax/train/step.py").open("a") as file:
        file.write("\n# another revision\n")
    program = [sys.executable, "-P", "-m", "baichuan_jax.cli.main", "train", str(prepared), *settings(both)]
    place = ["--coordinator", f"localhost:{port()}", "--processes", "2"]
    processes = []
    for number, code in enumerate((os.getcwd(), str(copy))):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        found = {**quick(1), "PYTHONPATH": code}
        processes.append(subprocess.Popen([*program, *place, "--process", f"{number}"], env=found, **pipes))
    assert "the code of baichuan_jax is" in told(processes, 2)


@pytest.mark.slow
def test_a_workdir_that_is_not_shared(prepared, tmp_path):
    one, two = (workdir(prepared, tmp_path / name) for name in ("one", "two"))
    message = told(start("train", prepared, one, other=settings(two)), 2)
    assert message.startswith("RunConfig.workdir is not shared")
    assert f"process 1 at {two}" in message
    assert not (one / "train").exists()
    assert not (two / "train").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("host", "number", "message"),
    [
        ("localhost", 0, "process 1 of 2 has not come within 4 s (--heartbeat)"),
        ("localhost", 1, "process 1 of 2 has not reached process 0 at --coordinator localhost:"),
        ("none.invalid", 0, "there is no host 'none.invalid'"),
        ("none.invalid", 1, "there is no host 'none.invalid'"),
    ],
)
def test_a_process_or_a_host_that_is_not_there(prepared, tmp_path, host, number, message):
    place = ["--coordinator", f"{host}:{port()}", "--processes", 2, "--process", number, "--heartbeat", HEARTBEAT]
    both = workdir(prepared, tmp_path / "both")
    assert message in told([launch(["train", prepared, *settings(both), *place], quick(1))], 75)


@pytest.mark.slow
@pytest.mark.parametrize("where", [0, 1])
@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("i/o", 75, "cannot read or write train-00000.bin (Input/output error)"),
        ("full", 2, "the disk is full"),
        ("bug", 1, "ZeroDivisionError('by zero')"),
    ],
)
def test_a_fault_of_one_process_ends_both_with_one_exit_code(prepared, tmp_path, where, fault, code, message):
    """Long before the heartbeat is missed."""
    both = workdir(prepared, tmp_path / "both")
    common = ["train", prepared, *settings(both), "--coordinator", f"localhost:{port()}", "--processes", 2]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": quick(1)}
    processes = []
    for number in range(2):
        program = [sys.executable, "-m", "tests.cli.faulty", fault if number == where else "none"]
        processes.append(subprocess.Popen([*program, *map(str, common), "--process", f"{number}"], **pipes))
    while all(process.poll() is None for process in processes):
        time.sleep(0.1)
    begun = time.monotonic()
    written = finish(processes, code)
    assert time.monotonic() - begun < 30  # the heartbeat is 100
    assert message in written[1 - where]
    assert f"process {where} of 2: " in written[1 - where]


@pytest.fixture
def hosts(tmp_path):
    """Return two functions that give the command that runs another on a host of its own."""
    if os.getuid() or not shutil.which("ip") or subprocess.run(["unshare", "-n", "true"]).returncode:
        pytest.skip("network namespaces need root and iproute2")
    run = lambda *words: subprocess.run(words, check=True)
    names = [f"test{os.getpid()}{letter}" for letter in "ab"]
    with ExitStack() as stack:
        for name in names:
            run("ip", "netns", "add", name)
            stack.callback(run, "ip", "netns", "del", name)
        run("ip", "link", "add", "v0", "netns", names[0], "type", "veth", "peer", "name", "v0", "netns", names[1])
        for number, name in enumerate(names):
            inside = ("ip", "-n", name)
            run(*inside, "addr", "add", f"10.77.0.{number + 1}/24", "dev", "v0")
            for device in ("lo", "v0"):
                run(*inside, "link", "set", device, "up")
            known = f"127.0.0.1 localhost\n127.0.1.1 node{number}\n10.77.0.{2 - number} node{1 - number}\n"
            (tmp_path / f"hosts{number}").write_text(known)

        def on(number, arguments):
            script = f'hostname node{number} && mount --bind {tmp_path}/hosts{number} /etc/hosts && exec "$@"'
            return ["ip", "netns", "exec", names[number], "unshare", "-mu", "sh", "-c", script, "-", *arguments]

        yield on


@pytest.mark.slow
def test_hosts_whose_own_names_are_loopback_addresses(prepared, tmp_path, hosts):
    """As Debian writes /etc/hosts: 127.0.1.1 is another host's address for none but that host."""
    both = workdir(prepared, tmp_path / "both")
    common = ["train", prepared, *settings(both), "--coordinator", "node0:4711", "--processes", 2, "--heartbeat", 30]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": quick(1)}
    finish([subprocess.Popen(hosts(n, command(*common, "--process", n)), **pipes) for n in range(2)])
    assert sorted(losses(both)) == list(range(1, 13))
