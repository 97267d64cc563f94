"""The quickstart as a newcomer gets it, at full size (make test-all: some six minutes)."""

import itertools
import time
from pathlib import Path

import pytest

from baichuan_jax.core.files import read_json
from baichuan_jax.core.metrics import read_metrics
from baichuan_jax.recipe.run_config import RunConfig
from baichuan_jax.recipe.table import wanted
from tests.cli.small import run

WANTED = list(wanted(RunConfig()))  # without instructions there is no tuning

CONFIG = Path(__file__).parents[1] / "configs/runs/quickstart.gin"


@pytest.mark.slow
def test_the_quickstart_learns_what_the_readme_says(tmp_path):
    workdir = tmp_path / "run"
    run("run", CONFIG, f"--set=RunConfig.workdir={workdir}", timeout=1800)
    for domain, bits in read_json(workdir / "evaluate" / "result.json")["domains"].items():
        assert bits["bits_per_byte"] < bits["unigram"], domain
    means = [record["validation_mean"] for record in read_metrics(workdir / "train") if "validation_mean" in record]
    assert all(after < before for before, after in itertools.pairwise(means))
    assert means[-1] < 0.75 * means[0]
    start = time.monotonic()
    done = run("run", CONFIG, f"--set=RunConfig.workdir={workdir}")
    assert done.stdout.count("skipped") == len(WANTED)
    assert time.monotonic() - start < 20
