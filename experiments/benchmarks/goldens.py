"""Golden values of the whole recipe, to compare two revisions of this project with.

    python -m experiments.benchmarks.goldens record goldens.json --corpora DIR --eval DIR
    python -m experiments.benchmarks.goldens compare before.json after.json

`record` runs the command line at debug size: the data step, the tokenizer, 20 training steps on six meshes, two
evaluation tasks, generation and an export; it computes the logits of every variant of the decoder, and plans training
for machines that are not here. It writes numbers and SHA-256 digests. `compare` prints what differs, and how much.
Floating-point results are those of one machine and one set of packages: record both revisions on the same one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SIZES = (
    "VOCAB=3000",
    "DecoderConfig.layers=2",
    "DecoderConfig.hidden=64",
    "DecoderConfig.heads=8",
    "DecoderConfig.head_dim=8",
    "DecoderConfig.inner=176",
    "DecoderConfig.context=256",
    "DataConfig.max_bytes=2000000",
    "TokenizerConfig.sample_bytes=1000000",
    "SelectConfig.validation_fraction=0.05",
    "TrainConfig.steps=20",
    "TrainConfig.batch=16",
    "TrainConfig.length=64",
    "TrainConfig.log_every=1",
    "TrainConfig.eval_every=10",
    "TrainConfig.eval_windows=8",
    "TrainConfig.checkpoint_every=20",
    "OptimConfig.warmup_steps=4",
    "EvaluateConfig.length=64",
    "EvaluateConfig.windows=16",
    "EvaluateConfig.batch=8",
    "SampleConfig.max_tokens=24",
    "SampleConfig.temperature=0.0",
)
# name: (devices, settings). The first is the run that is evaluated, generated from and exported.
MESHES: dict[str, tuple[int, tuple[str, ...]]] = {
    "one device": (1, ()),
    "fsdp 8": (8, ("MeshConfig.fsdp=8",)),
    "data 2, fsdp 4": (8, ("MeshConfig.data=2", "MeshConfig.fsdp=4", "TrainConfig.accumulate=2")),
    "fsdp 4, tensor 2": (8, ("MeshConfig.fsdp=4", "MeshConfig.tensor=2")),
    "fsdp 2, context 2, tensor 2": (8, ("MeshConfig.fsdp=2", "MeshConfig.context=2", "MeshConfig.tensor=2")),
    "data 2, context 4": (8, ("MeshConfig.data=2", "MeshConfig.fsdp=1", "MeshConfig.context=4")),
}
# target: settings beside configs/model/baichuan_7b.gin
PLANS: dict[str, tuple[str, ...]] = {
    "v5e:16x16": (
        "MeshConfig.data=16",
        "MeshConfig.fsdp=16",
        "AxisRules.embed=('fsdp','data')",
        "AxisRules.table_embed=('fsdp','data')",
    ),
    "v5p:4x4x4": (),
    "h100:8x128": (),
    "a800:8x16": (),
}
TASKS = ("mmlu_abstract_algebra", "mmlu_management")


@dataclass(frozen=True)
class Recipe:
    """Run the command line of the package in the current directory on one debug-sized config."""

    directory: Path

    def __call__(self, verb: str, workdir: Path, *arguments: object, devices: int = 1) -> str:
        """Return what the command prints. Raise RuntimeError if it fails."""
        settings = [*SIZES, f"RunConfig.workdir='{workdir}'"]
        return command(
            *verb.split(),
            ROOT / "configs/runs/quickstart.gin",
            *(f"--set={setting}" for setting in settings),
            *arguments,
            devices=devices,
        )


def command(*arguments: object, devices: int = 1) -> str:
    """Return the standard output of `baichuan-jax ARGUMENTS` on simulated CPU devices."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "baichuan_jax.cli.main", *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(line)}: exit {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(directory: Path, pattern: str) -> dict[str, str]:
    """Return {path below the directory: SHA-256} of the files that match a pattern."""
    return {
        str(file.relative_to(directory)): digest_of_file(file)
        for file in sorted(directory.glob(pattern))
        if file.is_file()
    }


def without_times(value: Any) -> Any:
    """Return a JSON value without what differs from run to run: times, speeds, and places."""
    if isinstance(value, dict):
        left_out = ("second", "path", "page", "place", "memory", "peak", "mfu", "hfu", "date", "workdir", "versions")
        return {key: without_times(each) for key, each in value.items() if not any(word in key for word in left_out)}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def record_recipe(directory: Path, eval_dir: Path | None) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of the data step, tokenizer, training, evaluation, generation and export."""
    recipe = Recipe(directory)
    first = directory / "first"
    recipe("data", first)
    yield "data/dataset", {**digests(first / "data", "**/*.array_record*"), **digests(first / "data", "**/*.jsonl*")}
    yield "data/result", without_times(json.loads((first / "data/result.json").read_text()))
    recipe("tokenizer", first)
    yield "tokenizer", digests(first / "tokenizer", "tokenizer.*")
    yield "tokens", digests(first / "tokens", "**/*.bin") or digests(first / "tokens", "**/*")
    prepared = directory / "prepared"
    shutil.copytree(first, prepared)
    for number, (name, (devices, settings)) in enumerate(MESHES.items()):
        workdir = first if number == 0 else directory / f"mesh{number}"
        if number:
            shutil.copytree(prepared, workdir)
        recipe("train", workdir, *(f"--set={setting}" for setting in settings), devices=devices)
        records = [json.loads(line) for line in (workdir / "train/metrics.jsonl").read_text().splitlines()]
        yield f"train/{name}/loss", [record["loss"] for record in records if "loss" in record]
        yield f"train/{name}/grad_norm", [record["grad_norm"] for record in records if "grad_norm" in record]
        yield f"train/{name}/validation", [record["validation"] for record in records if "validation" in record]
        if number:
            shutil.rmtree(workdir)
    recipe("evaluate", first)
    yield "evaluate/held out", without_times(json.loads((first / "evaluate/result.json").read_text()))["domains"]
    yield (
        "generate/prompts",
        without_times(json.loads((first / "generate/result.json").read_text())) if recipe("generate", first) else None,
    )
    prompts = ("--prompt", "中国", "--prompt", "The people of", "--prompt", "def main(")
    yield "generate/greedy", recipe("generate", first, *prompts, "--json").splitlines()
    if eval_dir is not None:
        recipe("evaluate", first, "--tasks", ",".join(TASKS), "--data-dir", eval_dir, "--limit", 40)
        for task in TASKS:
            [answers] = (first / "tasks").glob(f"{task}-*.answers.jsonl")
            yield f"tasks/{task}", [json.loads(line) for line in answers.read_text().splitlines()]
    exported = directory / "exported"
    recipe("convert export", first, exported, "--layout", "llama")
    yield "export", {name: value for name, value in digests(exported, "**/*").items() if "README" not in name}


def variants() -> dict[str, Any]:
    """Return a small decoder for every entry of every table of the model."""
    from baichuan_jax.model.config import AttentionConfig, DecoderConfig, HeadConfig, PositionConfig

    sizes = {"vocab": 98, "layers": 2, "hidden": 32, "heads": 4, "head_dim": 8, "inner": 48, "context": 64}
    make = lambda **changes: DecoderConfig(**({"remat": "none", "init_std": 0.1} | sizes | changes))
    stretched = {
        "linear": {},
        "ntk": {},
        "yarn": {"original_context": 16},
        "llama3": {"original_context": 16, "fast": 4.0},
    }
    patterns = {
        "local": {"window": 5},
        "strided": {"window": 4},
        "fixed": {"window": 6, "summary": 2},
    }
    kinds = ("relu", "gelu", "silu", "glu", "bilinear", "reglu", "geglu", "swiglu")
    return {
        **{
            f"positions {kind}": make(positions=PositionConfig(kind))
            for kind in ("none", "sinusoidal", "learned", "rope", "alibi")
        },
        **{
            f"scaling {name}": make(positions=PositionConfig(scaling=name, factor=4.0, **more))
            for name, more in stretched.items()
        },
        **{f"feed-forward {kind}": make(feed_forward=kind) for kind in kinds},
        **{f"norm {kind}": make(norm=kind) for kind in ("rms", "layer")},
        **{f"kv heads {count}": make(attention=AttentionConfig(kv_heads=count)) for count in (1, 2)},
        **{
            f"pattern {name}": make(attention=AttentionConfig(pattern=(name,), **more))
            for name, more in patterns.items()
        },
        "pattern local and full": make(attention=AttentionConfig(pattern=("local", "full"), window=4)),
        "attention capped": make(attention=AttentionConfig(soft_cap=2.0)),
        **{
            f"head {tied=} {normalised=} {cap=}": make(head=HeadConfig(tied=tied, normalised=normalised, soft_cap=cap))
            for tied in (False, True)
            for normalised in (False, True)
            for cap in (0.0, 3.0)
        },
        **{f"remat {kind}": make(remat=kind) for kind in ("products", "block")},
    }


def record_logits(directory: Path, eval_dir: Path | None) -> Iterator[tuple[str, Any]]:
    """Yield the logits of every variant, in float32: their digest, and the first few."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import numpy as np

    from baichuan_jax.model.decoder import apply, init_params
    from baichuan_jax.model.execution import Batch

    tokens = jax.random.randint(jax.random.key(1), (2, 48), 0, 98)
    for name, cfg in variants().items():
        params = init_params(cfg, jax.random.key(0))
        logits = np.asarray(jax.jit(lambda params, cfg=cfg: apply(cfg, params, Batch(tokens)))(params))
        yield (
            f"logits/{name}",
            {
                "sha256": hashlib.sha256(logits.tobytes()).hexdigest(),
                "some": logits[:, ::16, ::32].astype(float).ravel().tolist(),
            },
        )


def record_plans(directory: Path, eval_dir: Path | None) -> Iterator[tuple[str, Any]]:
    """Yield memory, bytes sent, and the share of them that is sent beside work."""
    for target, settings in PLANS.items():
        overrides = [f"--set={setting}" for setting in settings]
        found = json.loads(
            command("plan", ROOT / "configs/model/baichuan_7b.gin", "--target", target, *overrides, "--json")
        )
        names = ("arguments", "temporaries", "total", "sent_bytes", "async_share", "step", "mesh")
        yield f"plan/{target}", {name: found[name] for name in names if name in found}


PARTS: dict[str, Callable[[Path, Path | None], Iterator[tuple[str, Any]]]] = {
    "logits": record_logits,
    "recipe": record_recipe,
    "plans": record_plans,
}


def differences(before: Any, after: Any, place: str) -> Iterator[str]:
    """Yield a line for everything that two JSON values do not share."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(before.get(key, "absent"), after.get(key, "absent"), f"{place}/{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        if before and all(isinstance(each, float) for each in (*before, *after)):
            if before != after:
                relative = max(abs(a - b) / max(abs(a), 1e-30) for a, b in zip(before, after))
                count = sum(a != b for a, b in zip(before, after))
                yield f"{place}: {count} of {len(before)} differ, at most {relative:.2e} relative"
        else:
            for number, (a, b) in enumerate(zip(before, after)):
                yield from differences(a, b, f"{place}[{number}]")
    elif before != after:
        numbers = isinstance(before, int | float) and isinstance(after, int | float) and before
        how = f", {math.fabs(after - before) / math.fabs(before):.2e} relative" if numbers else ""
        yield f"{place}: was {str(before)[:80]}, is {str(after)[:80]}{how}"


def main() -> int:
    """Record or compare. Return 1 if something differs."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.goldens", description=__doc__.split("\n")[0]
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    record = verbs.add_parser("record", help="write the golden values of the code at hand")
    record.add_argument("out", type=Path, help="a JSON file")
    record.add_argument("--eval", type=Path, metavar="DIR", help="where mmlu.zip is; without it, no tasks are asked")
    record.add_argument("--parts", default=",".join(PARTS), help=f"which, by commas, of {', '.join(PARTS)}")
    compare = verbs.add_parser("compare", help="print what differs")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    args = parser.parse_args()
    if args.verb == "compare":
        before, after = (json.loads(path.read_text(encoding="utf-8")) for path in (args.before, args.after))
        parts = [part for part in PARTS if part in before and part in after]
        found = [line for part in parts for line in differences(before[part], after[part], part)]
        print("\n".join(found) or f"no difference in {', '.join(parts)}")
        return 1 if found else 0
    values = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    for part in args.parts.split(","):
        with tempfile.TemporaryDirectory() as directory:
            values[part] = {}
            for name, value in PARTS[part](Path(directory), args.eval):
                values[part][name] = value
                print(name, flush=True)
        args.out.write_text(json.dumps(values, ensure_ascii=False, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
