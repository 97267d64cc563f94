"""A disk that is really full: a clear message, nothing half-written is believed, and the same command goes on."""

import os
import subprocess

import pytest

from tests.cli.small import run, write_config, write_texts


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes, and a function that makes it larger."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can only be mounted by root")
    yield place, lambda: subprocess.run(["mount", "-o", "remount,size=200m", str(place)], check=True)
    subprocess.run(["umount", str(place)], check=True)


def corpus(directory):
    files = sorted(path for path in (directory / "data").rglob("*") if path.is_file())
    return {path.relative_to(directory): path.read_bytes() for path in files if "corpus" in path.parts}


def test_the_data_step_goes_on_once_there_is_room(tmp_path, small_disk):
    place, enlarge = small_disk
    config = write_config(tmp_path)
    write_texts(tmp_path, documents=4000)
    full = run("data", config, f"--set=RunConfig.workdir={place}/run", code=2)
    assert full.stderr.splitlines()[-1] == (
        "baichuan-jax: the disk is full; make room and run the same command to go on"
    )
    assert "Traceback" not in full.stderr
    assert not (place / "run" / "data" / "manifest.json").exists()
    enlarge()
    run("data", config, f"--set=RunConfig.workdir={place}/run")
    run("data", config, f"--set=RunConfig.workdir={tmp_path}/run")
    assert corpus(place / "run") == corpus(tmp_path / "run")
