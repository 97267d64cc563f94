"""Two processes on this machine that train as one, through the command line."""

import fcntl
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import jax
import pytest

from baichuan_jax.core.errors import TryAgain, UserError
from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.core.process_group import ProcessLost
from baichuan_jax.parallel import processes
from baichuan_jax.parallel.processes import Start, cluster_at_hand, joined
from baichuan_jax.train.batch_hashes import read_hashes
from tests.cli.small import command, environment, run, write_config

LONG = ("TrainConfig.steps=2000", "TrainConfig.eval_every=1000", "TrainConfig.checkpoint_every=20")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return a config whose text is tokens already."""
    config = write_config(tmp_path_factory.mktemp("prepared"))
    run("data", config)
    run("tokenizer", config)
    return config


def workdir(prepared: Path, directory: Path) -> Path:
    """Return a workdir of its own with the same tokens."""
    for stage in ("data", "tokenizer", "tokens"):
        shutil.copytree(prepared.parent / "run" / stage, directory / stage)
    return directory


def settings(workdir: Path, *more: str) -> list[str]:
    return [f"--set={setting}" for setting in (f"RunConfig.workdir={workdir}", *more)]


def port(first: int = 0) -> int:
    """Return a free port, from `first` on."""
    for number in range(first, 2**16):
        with socket.socket() as free, suppress(OSError):
            free.bind(("localhost", number))
            return free.getsockname()[1]
    raise AssertionError("no port is free")


def quick(devices: int) -> dict[str, str]:
    """Return an environment in which programs are compiled in half the time and run slower."""
    found = environment(devices)
    return {**found, "XLA_FLAGS": f"{found['XLA_FLAGS']} --xla_backend_optimization_level=0"}


def start(verb: str, config: Path, workdir: Path, *more: str, devices: int = 1, extra: tuple = (), other=()) -> list:
    """Start two processes of `devices` each. other: what only the second is told."""
    common = [verb, config, *settings(workdir, *more), "--coordinator", f"localhost:{port()}", "--processes", 2, *extra]
    each = ([*common, "--process", 0], [*common, "--process", 1, *other])
    return [launch(arguments, quick(devices)) for arguments in each]


def launch(arguments: list, environment: dict) -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(*arguments), env=environment, **pipes)


def finish(processes: list[subprocess.Popen], code: int = 0) -> list[str]:
    """Wait for them; return what each wrote."""
    written = ["".join(process.communicate(timeout=600)) for process in processes]
    assert [process.returncode for process in processes] == [code] * len(processes), written
    return written


def losses(workdir: Path) -> dict[int, float]:
    return {record["step"]: record["loss"] for record in read_metrics(workdir / "train") if "loss" in record}


def assert_same_curve(one: Path, other: Path, rel: float = 1e-5) -> None:
    assert losses(one).keys() == losses(other).keys()
    assert list(losses(one).values()) == pytest.approx(list(losses(other).values()), rel=rel)


def wait_for_steps(workdir: Path, processes: list[subprocess.Popen], steps: int) -> None:
    deadline = time.monotonic() + 120
    while max(losses(workdir), default=0) < steps:
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes), finish(processes)
        time.sleep(0.02)


@pytest.mark.slow
def test_two_processes_train_as_one(prepared, tmp_path):
    """The same losses as one process with as many devices; what is written once is written by the first."""
    short = ("TrainConfig.steps=4", "TrainConfig.eval_every=4", "TrainConfig.checkpoint_every=2")
    both, alone = workdir(prepared, tmp_path / "both"), workdir(prepared, tmp_path / "alone")
    first, second = finish(start("train", prepared, both, *short))
    assert "✓ train" in first
    assert "train" not in second
    one = launch(["train", prepared, *settings(alone, *short)], quick(2))
    finish([one])
    assert sorted(losses(both)) == [1, 2, 3, 4]
    assert_same_curve(both, alone)
    assert (both / "train" / "manifest.json").exists()


@pytest.mark.slow
def test_a_stop_asked_of_one_process_stops_both_and_one_alone_goes_on(prepared, tmp_path):
    """And the other way round: two go on from what one has left. data crosses the processes, fsdp does not."""
    both, alone = workdir(prepared, tmp_path / "both"), workdir(prepared, tmp_path / "alone")
    mesh, rest = ("MeshConfig.data=2", "MeshConfig.fsdp=2"), "run the same command to go on"
    long = ("TrainConfig.steps=120", "TrainConfig.eval_every=120", *mesh)
    processes = start("train", prepared, both, *long, devices=2)
    wait_for_steps(both, processes, 10)
    processes[1].send_signal(signal.SIGTERM)
    assert all(rest in written for written in finish(processes, code=130))
    assert 10 < max(losses(both)) < 120
    run("train", prepared, *settings(both, *long), devices=4)
    one = launch(["train", prepared, *settings(alone, *long)], quick(4))
    wait_for_steps(alone, [one], 10)
    one.send_signal(signal.SIGINT)
    finish([one], code=130)
    finish(start("train", prepared, alone, *long, devices=2))
    assert read_hashes(both / "train") == read_hashes(alone / "train")
    assert sorted(read_hashes(both / "train")) == list(range(1, 121))
    assert_same_curve(both, alone, rel=2e-4)  # sums in other orders part over 120 steps, at so high a rate
    assert "held-out" in finish(start("evaluate", prepared, both, *long, devices=2))[0]


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_kill_9_of_one_ends_the_other(prepared, tmp_path, killed):
    """At once where the connection breaks, and after --heartbeat at the latest."""
    both = workdir(prepared, tmp_path / "both")
    processes = start("train", prepared, both, *LONG, extra=("--heartbeat", 20))
    wait_for_steps(both, processes, 30)
    processes[killed].kill()
    left = processes[1 - killed]
    written = "".join(left.communicate(timeout=60))
    # Which of the two notices first is open: our own message with code 75, or the coordination service's abort.
    assert left.returncode in (75, -signal.SIGABRT), written
    assert "lost a peer" in written or "another task died" in written
    processes[killed].communicate()


@pytest.mark.slow
def test_slurm_is_recognised(prepared, tmp_path):
    """By what srun sets; a machine without Slurm stands in for a node."""
    both = workdir(prepared, tmp_path / "both")
    first = 61440  # from here on, JAX takes the port of the job's number
    slurm = {"SLURM_JOB_ID": str(port(first) - first), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
    place = lambda number: {"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number)}
    arguments = ["train", prepared, *settings(both)]
    finish([launch(arguments, {**quick(1), **slurm, **place(number)}) for number in range(2)])
    assert sorted(losses(both)) == list(range(1, 13))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"processes": 2}, "--processes = 2: expected --coordinator"),
        ({"coordinator": "node1"}, "--coordinator = 'node1': expected HOST:PORT"),
        ({"coordinator": "node1:1234"}, "--processes = None: expected how many"),
        ({"coordinator": "node1:1234", "processes": 2, "process": 2}, "--process = 2: expected .* 0 to 1"),
        ({"heartbeat": 0}, "--heartbeat = 0"),
    ],
)
def test_a_start_that_is_none(start, message):
    with pytest.raises(UserError, match=message):
        Start(**start)


@dataclass
class Heard:
    """An alarm that another process has given. told: what this one tells."""

    code: int
    message: str
    told: list

    def heard(self):
        return bool(self.code)

    def raise_for_all(self, *told):
        self.told.append(told)


@pytest.mark.parametrize(
    ("message", "heard", "raised", "told"),
    [
        ("UNAVAILABLE: reset by peer", (0, ""), ProcessLost, [75]),
        ("UNAVAILABLE: reset by peer", (2, "the disk is full"), UserError, []),
        ("UNAVAILABLE: reset by peer", (75, "Input/output error"), TryAgain, []),
        ("UNAVAILABLE: reset by peer", (1, "ValueError()"), RuntimeError, []),
        ("RESOURCE_EXHAUSTED: 9 GiB", (0, ""), jax.errors.JaxRuntimeError, [1]),
        ("UNKNOWN: Gloo all-reduce failed: Connection reset by peer", (0, ""), ProcessLost, [75]),
    ],
)
@pytest.mark.parametrize("kind", [jax.errors.JaxRuntimeError, ValueError])
def test_a_computation_that_fails_has_lost_a_process(monkeypatch, kind, message, heard, raised, told):
    """Or fails because of what has happened in another."""
    alarm = Heard(*heard, [])
    monkeypatch.setattr(processes, "_place", lambda start: start)
    monkeypatch.setattr(processes, "_initialize", lambda *_: None)
    monkeypatch.setattr(processes, "Alarm", lambda *_: alarm)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    raised = kind if raised is jax.errors.JaxRuntimeError else raised
    with pytest.raises(raised, match=heard[1] or message), joined(Start("node1:1234", 2, 0), dict, Path()):
        raise kind(message)
    assert [code for code, _ in alarm.told] == told


def test_a_pod_is_a_cluster_if_its_job_counts_its_pods(monkeypatch):
    assert cluster_at_hand({})
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert not cluster_at_hand(pod)
    assert cluster_at_hand({**pod, "TPU_WORKER_HOSTNAMES": "a,b"})
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(UserError, match="--coordinator, --processes and --process"):
        cluster_at_hand({**pod, "JOB_COMPLETION_INDEX": "1"})


@pytest.mark.slow
def test_a_tensor_axis_between_hosts_is_refused_by_all(prepared, tmp_path):
    both = workdir(prepared, tmp_path / "both")
    for written in finish(start("train", prepared, both, "MeshConfig.tensor=4", devices=2), code=2):
        assert "MeshConfig.tensor = 4: expected a divisor of the 2 devices that fast links join" in written
    assert not (both / "train").exists()


@pytest.mark.slow
def test_a_workdir_in_use_stops_every_process(prepared, tmp_path):
    """One finds it locked, and tells the other."""
    both = workdir(prepared, tmp_path / "both")
    with (both / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        first, second = finish(start("train", prepared, both), code=2)
    assert "another process is at work" in first
    assert re.search("process 0 of 2: .*another process is at work", second)
    assert not (both / "train").exists()


def test_a_process_that_has_computed_already_is_alone():
    """A notebook calls a verb after it has looked at its devices."""
    assert jax.devices()
    with joined(Start(), dict, Path()) as alone:
        assert alone.count == 1
