"""Comparison with other revisions of this project: temporary checkouts, run in separate processes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from baichuan_jax.core.errors import UserError

ROOT = Path(__file__).parents[2]


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """Yield a temporary directory with the files of a revision of this repository.

    Raise UserError if there is no such revision, or this is not a Git checkout.
    """
    packed = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        raise UserError(f"--baseline {revision}: {packed.stderr.decode().strip()}; name a commit of this repository")
    with tempfile.TemporaryDirectory() as directory:
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(directory, filter="data")
        yield Path(directory)


def run_in(tree: Path, script: Path, what: dict) -> dict:
    """Run a script of this directory with the package of another tree; return the last JSON that it prints.

    what: JSON for the standard input of the script. Raise RuntimeError if it fails.
    """
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    # -P: the script's own directory is not searched for modules.
    command = [sys.executable, "-P", str(script)]
    done = subprocess.run(
        command, input=json.dumps(what), cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{script.name} with the package of {tree} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])
