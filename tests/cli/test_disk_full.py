"""A disk that is really full: a clear message, nothing half-written is believed, and the same command goes on."""

import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.shards import TokenStore
from baichuan_jax.train.config import checkpoint_steps
from tests.cli.small import command, environment, run, write_config, write_texts
from tests.cli.test_run import finished, losses  # noqa: F401

ROOM = 200 << 20


@pytest.fixture
def small_disk(tmp_path):
    """Return a file system of two megabytes, and a function that gives it so many bytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can only be mounted by root")
    yield place, lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)
    subprocess.run(["umount", str(place)], check=True)


def used(place):
    room = os.statvfs(place)
    return (room.f_blocks - room.f_bfree) * room.f_frsize


def corpus(directory):
    files = sorted(path for path in (directory / "data").rglob("*") if path.is_file())
    return {path.relative_to(directory): path.read_bytes() for path in files if "corpus" in path.parts}


def stops_at_a_full_disk(*arguments, what):
    """Return the path that the one line names."""
    full = run(*arguments, code=2)
    last = full.stderr.splitlines()[-1]
    [told] = re.findall("^baichuan-jax: the disk is full: (.*); make room and run the same command to go on$", last)
    named, _, path = told.partition(" cannot write ")
    assert re.fullmatch(what, named)
    told = [line for line in full.stderr.splitlines() if "training goes on" not in line]
    assert len(told) < 6, full.stderr  # what progress says stands before it
    return Path(path)


@pytest.mark.slow
def test_the_data_step_goes_on_once_there_is_room(tmp_path, small_disk):
    place, resize = small_disk
    config = write_config(tmp_path)
    write_texts(tmp_path, documents=4000)
    stops_at_a_full_disk("data", config, f"--set=RunConfig.workdir={place}/run", what="stage 'data'")
    assert not (place / "run" / "data" / "manifest.json").exists()
    resize(ROOM)
    run("data", config, f"--set=RunConfig.workdir={place}/run")
    run("data", config, f"--set=RunConfig.workdir={tmp_path}/run")
    assert corpus(place / "run") == corpus(tmp_path / "run")


@pytest.mark.slow
def test_no_reader_accepts_the_token_shards_of_a_full_disk(tmp_path, small_disk):
    place, resize = small_disk
    config = write_config(tmp_path)
    write_texts(tmp_path, documents=4000)
    inside, outside = (f"--set=RunConfig.workdir={directory}/run" for directory in (place, tmp_path))
    resize(ROOM)
    run("data", config, inside)
    resize(used(place) + (1 << 20))  # enough for the model and some shards
    named = stops_at_a_full_disk("tokenizer", config, inside, what="stage 'tokens'")
    assert named.is_relative_to(place / "run" / "tokens")
    assert list(place.rglob("tokenizer.model")), "it was the shards that found no room"
    with pytest.raises(UserError, match="no token shards"):
        TokenStore(place / "run" / "tokens")
    resize(ROOM)
    run("tokenizer", config, inside)
    run("data", config, outside)
    run("tokenizer", config, outside)
    tokens = lambda directory: {f.name: f.read_bytes() for f in sorted((directory / "run/tokens").rglob("*.bin"))}
    assert tokens(place) == tokens(tmp_path)
    assert tokens(place)


NEEDED = {"data": (), "tokenizer": ("data",), "train": ("data", "tokenizer", "tokens")}
RUN, STAGE, CHECKPOINT = "the run", r"stage '\w+'", r"the checkpoint of step \d+"


def made(workdir):
    """Return the bits of what stages have made, by file."""
    kinds = ("data/corpus/**/*", "tokenizer/tokenizer.model", "tokens/**/*.bin")
    files = [path for kind in kinds for path in workdir.glob(kind) if path.is_file()]
    return {path.relative_to(workdir): path.read_bytes() for path in files}, losses(workdir)


def begun(whole, workdir, verb):
    """Return the arguments of a verb for a run whose stages before it are there."""
    for stage in NEEDED[verb]:
        shutil.copytree(whole[1] / stage, workdir / stage)
    return verb, whole[0], f"--set=RunConfig.workdir={workdir}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "size", "what"),
    [
        ("data", 4_000, RUN),
        ("data", 30_000, STAGE),
        ("data", 300_000, STAGE),
        ("tokenizer", 20_000, STAGE),
        ("tokenizer", 60_000, STAGE),
        ("train", 4_000, RUN),
        ("train", 20_000, f"{STAGE}|{CHECKPOINT}"),
        ("train", 60_000, f"{STAGE}|{CHECKPOINT}"),
        ("train", 1_000_000, CHECKPOINT),
        ("train", 4_000_000, CHECKPOINT),
    ],
)
def test_the_same_command_ends_with_the_same_bits_once_there_is_room(finished, small_disk, verb, size, what):  # noqa: F811
    place, resize = small_disk
    resize(ROOM)
    arguments = begun(finished, place / "run", verb)
    resize(used(place) + size)
    assert stops_at_a_full_disk(*arguments, what=what).is_relative_to(place / "run")
    resize(ROOM)
    run("train", *arguments[1:]) if verb == "train" else [run(name, *arguments[1:]) for name in ("data", "tokenizer")]
    files, curve = made(place / "run")
    expected, whole = made(finished[1])
    assert (files, curve) == (expected, whole if verb == "train" else {})


ENDLESS = (
    "TrainConfig.steps=1000000",
    "TrainConfig.checkpoint_every=20",
    "TrainConfig.log_every=5",
    "TrainConfig.eval_every=1000000",
    "TrainConfig.keep=3",
    "OptimConfig.schedule=constant",
)


class Training:
    """A training in a process of its own, and what it says."""

    def __init__(self, arguments, workdir):
        more = [f"--set={setting}" for setting in ENDLESS]
        self._process = subprocess.Popen(
            command(*arguments, *more), stderr=subprocess.PIPE, text=True, env=environment()
        )
        self.id, self.lines, self.folder = self._process.pid, [], workdir / "train/checkpoints"
        threading.Thread(target=lambda: self.lines.extend(self._process.stderr), daemon=True).start()

    def wait(self, reached, seconds=300):
        """Wait until `reached()` is true; return what it is."""
        deadline = time.monotonic() + seconds
        while not (found := reached()):
            assert time.monotonic() < deadline, "".join(self.lines)
            assert self._process.poll() is None, "".join(self.lines)
            time.sleep(0.05)
        return found

    def refused(self):
        """Return the steps of the checkpoints that were not written."""
        told = re.findall(r"^the checkpoint of step (\d+) is not written: .*; training", "".join(self.lines), re.M)
        return [int(step) for step in told]

    def newest(self):
        return max(checkpoint_steps(self.folder), default=0)

    def end(self):
        """Ask it to stop; return the step of its last checkpoint."""
        self._process.terminate()
        assert self._process.wait(120) == 130, "".join(self.lines)
        return self.newest()


def goes_on_at_every_point(training, fill, free, points):
    """Let the disk fill at each point, until a checkpoint fails; then give room, until one is written."""
    training.wait(training.newest)
    for point in points:
        before = len(training.refused())
        fill(point)
        failed = training.wait(lambda: training.refused()[before:])[0]  # noqa: B023
        assert failed not in checkpoint_steps(training.folder)
        free()
        training.wait(lambda: training.newest() > failed)  # noqa: B023
        assert not {*training.refused()} & {*checkpoint_steps(training.folder)}
        assert len(checkpoint_steps(training.folder)) <= 4, "no step is leaked"


def same_as_undisturbed(arguments, workdir, undisturbed, last):
    """Compare with a run of as many steps that had room; both had one rate throughout."""
    settings = dict(setting.split("=") for setting in ENDLESS) | {"TrainConfig.steps": last}
    run(*arguments, f"--set=RunConfig.workdir={undisturbed}", *(f"--set={name}={to}" for name, to in settings.items()))
    found, expected = losses(workdir), losses(undisturbed)
    assert len(found) > 20
    assert found == {step: expected[step] for step in found}


@pytest.mark.slow
def test_training_goes_on_at_ten_points_where_files_may_not_grow(finished, tmp_path):  # noqa: F811
    arguments = begun(finished, tmp_path / "run", "train")
    training = Training(arguments, tmp_path / "run")
    training.wait(training.newest)
    os.kill(training.id, signal.SIGUSR1)
    training.wait(lambda: re.search(r"^the checkpoint of step \d+ is written$", "".join(training.lines), re.M))
    limit = lambda size: resource.prlimit(training.id, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    points = (0, 40, 150, 600, 1_500, 3_000, 10_000, 30_000, 80_000, 140_000)
    goes_on_at_every_point(training, limit, lambda: limit(resource.RLIM_INFINITY), points)
    last = training.end()
    begun(finished, tmp_path / "undisturbed", "train")
    same_as_undisturbed(arguments, tmp_path / "run", tmp_path / "undisturbed", last)


@pytest.mark.slow
def test_training_goes_on_at_ten_points_where_the_disk_is_full(finished, small_disk, tmp_path):  # noqa: F811
    place, resize = small_disk
    resize(ROOM)
    arguments = begun(finished, place / "run", "train")
    training = Training(arguments, place / "run")
    points = (0, 2_000, 8_000, 20_000, 50_000, 100_000, 200_000, 300_000, 500_000, 800_000)
    goes_on_at_every_point(training, lambda room: resize(used(place) + room), lambda: resize(ROOM), points)
    last = training.end()
    begun(finished, tmp_path / "undisturbed", "train")
    same_as_undisturbed(arguments, place / "run", tmp_path / "undisturbed", last)


@pytest.mark.slow
def test_a_checkpoint_that_may_not_become_so_large_is_named(finished, tmp_path):  # noqa: F811
    """As a quota or `ulimit -f` has it, which nobody need be root for."""
    arguments = begun(finished, tmp_path / "run", "train")
    limited = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY)),
    )
    assert limited.returncode == 2, limited.stderr
    assert re.search("the checkpoint of step 12 cannot write .*/train/checkpoints", limited.stderr.splitlines()[-1])
    run(*arguments)
    assert losses(tmp_path / "run") == losses(finished[1])
