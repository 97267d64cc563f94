"""The templates of configs/cluster: they parse, ask for what they use, and their command is one that we have."""

import math
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from baichuan_jax.cli.main import parser
from baichuan_jax.config.load import load
from baichuan_jax.parallel.processes import Start
from baichuan_jax.recipe.run_config import RunConfig

ROOT = Path(__file__).parents[1]
SLURM = ROOT / "configs/cluster/slurm.sh"
JOBSETS = sorted((ROOT / "configs/cluster").glob("*.yaml"))


def name(path: Path) -> str:
    return path.stem


def submitted(directory: Path, code: int, restarts: int = 0) -> tuple[int, list[str]]:
    """Run the batch script where srun ends with `code`; return (its exit code, what it has called)."""
    (directory / ".venv/bin").mkdir(parents=True)
    (directory / ".venv/bin/activate").touch()
    for tool, status in (("srun", code), ("scontrol", 0)):
        path = directory / tool
        cores = "cores=$SRUN_CPUS_PER_TASK"
        path.write_text(f'#!/bin/bash\necho "{tool} $* {cores}" >> {directory}/called\nexit {status}\n')
        path.chmod(0o755)
    environment = {
        "PATH": f"{directory}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "7",
        "SLURM_RESTART_COUNT": f"{restarts}",
        "SLURM_CPUS_PER_TASK": "12",
    }
    done = subprocess.run(
        ["bash", SLURM, "configs/runs/quickstart.gin", "--set", "TrainConfig.steps=300"],
        env=environment,
        cwd=directory,
        check=False,
    )
    lines = (directory / "called").read_text().splitlines()
    assert lines[0].endswith(" cores=12")  # which srun reads: it does not read the job's
    return done.returncode, [line.removesuffix(" cores=12") for line in lines]


@pytest.mark.parametrize(
    ("code", "again"), [(0, False), (1, False), (2, False), (75, True), (130, True), (134, True), (137, True)]
)
def test_slurm_starts_again_what_can_go_on(tmp_path, code, again):
    ended, called = submitted(tmp_path, code)
    assert ended == code
    assert ("scontrol requeue 7" in called) == again
    srun = called[0].split()
    arguments = parser().parse_args(srun[srun.index("baichuan-jax") + 1 :])
    assert load(arguments.config, arguments.overrides, RunConfig).config.train.steps == 300
    assert not arguments.coordinator


def test_slurm_gives_up_in_the_end(tmp_path):
    assert submitted(tmp_path, 75, restarts=50)[1][1:] == []


def test_slurm_asks_for_a_process_a_gpu_and_for_time_to_stop():
    subprocess.run(["bash", "-n", SLURM], check=True)
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", SLURM.read_text(), re.MULTILINE))
    assert asked["ntasks-per-node"] == asked["gpus-per-node"]
    signal, seconds = asked["signal"].split("@")  # without "B:", so that it reaches the processes and not the script
    assert signal == "TERM"
    assert int(seconds) >= 120
    assert "#SBATCH --requeue\n" in SLURM.read_text()


@pytest.mark.parametrize("path", JOBSETS, ids=name)
def test_a_jobset_is_one_that_we_can_run(path):
    jobset = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert (jobset["apiVersion"], jobset["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    [replicated] = jobset["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    pod = job["template"]["spec"]
    [container] = pod["containers"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert pod["restartPolicy"] == "Never"  # podFailurePolicy needs it
    [rule] = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"] == {"containerName": container["name"], "operator": "In", "values": [2]}

    assert job["parallelism"] == job["completions"]
    [(resource, each)] = container["resources"]["limits"].items()
    devices = job["completions"] * each * replicated["replicas"]
    if "tpu" in resource:
        topology = pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"]
        assert math.prod(map(int, topology.split("x"))) == devices

    program, *arguments = [part.replace("$(JOB_COMPLETION_INDEX)", "1") for part in container["command"]]
    assert program == "baichuan-jax"
    given = parser().parse_args(arguments)
    config = load(ROOT / given.config, given.overrides, RunConfig).config
    assert math.prod(config.mesh.sizes()) == devices
    assert config.train.batch % (devices * config.train.accumulate) == 0
    if "tpu" in resource:
        recommended = re.search(
            rf"`data=(\d+), fsdp=(\d+)` for\s`v5p:{topology}`", (ROOT / "docs/scale.md").read_text()
        )
        assert (config.mesh.data, config.mesh.fsdp) == tuple(map(int, recommended.groups()))
        assert config.rules.embed == config.rules.table_embed == ("fsdp", "data")
    else:
        assert config.mesh.fsdp == each
    assert "persistentVolumeClaim: {claimName: runs}  # ReadWriteMany" in path.read_text(encoding="utf-8")
    assert Path(container["volumeMounts"][0]["mountPath"]) in Path(config.workdir).parents

    start = Start(given.coordinator, given.processes, given.process)
    if "gpu" in resource:
        assert start.processes == job["completions"]
        assert job["completionMode"] == "Indexed"
        first = f"{jobset['metadata']['name']}-{replicated['name']}-0-0.{jobset['metadata']['name']}"
        host, listens = start.coordinator.split(":")
        assert host == first
        assert int(listens) in [port["containerPort"] for port in container["ports"]]
