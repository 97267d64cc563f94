"""A disk that is really full: a clear message, nothing half-written is believed, and the same command goes on."""

import os
import subprocess

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.tokenizer.shards import TokenStore
from tests.cli.small import run, write_config, write_texts

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


def corpus(directory):
    files = sorted(path for path in (directory / "data").rglob("*") if path.is_file())
    return {path.relative_to(directory): path.read_bytes() for path in files if "corpus" in path.parts}


def stops_at_a_full_disk(*arguments):
    full = run(*arguments, code=2)
    assert full.stderr.splitlines()[-1] == (
        "baichuan-jax: the disk is full; make room and run the same command to go on"
    )
    assert "Traceback" not in full.stderr


def test_the_data_step_goes_on_once_there_is_room(tmp_path, small_disk):
    place, resize = small_disk
    config = write_config(tmp_path)
    write_texts(tmp_path, documents=4000)
    stops_at_a_full_disk("data", config, f"--set=RunConfig.workdir={place}/run")
    assert not (place / "run" / "data" / "manifest.json").exists()
    resize(ROOM)
    run("data", config, f"--set=RunConfig.workdir={place}/run")
    run("data", config, f"--set=RunConfig.workdir={tmp_path}/run")
    assert corpus(place / "run") == corpus(tmp_path / "run")


def test_no_reader_accepts_the_token_shards_of_a_full_disk(tmp_path, small_disk):
    place, resize = small_disk
    config = write_config(tmp_path)
    write_texts(tmp_path, documents=4000)
    inside, outside = (f"--set=RunConfig.workdir={directory}/run" for directory in (place, tmp_path))
    resize(ROOM)
    run("data", config, inside)
    room = os.statvfs(place)
    used = (room.f_blocks - room.f_bfree) * room.f_frsize
    resize(used + (1 << 20))  # enough for the model and some shards
    stops_at_a_full_disk("tokenizer", config, inside)
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
