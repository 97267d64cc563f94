"""Time and memory of converting a checkpoint of the size of Baichuan-7B, both ways, beside the bound we promise.

Command: python -m experiments.benchmarks.bench_convert [CONFIG] [--directory DIR] [--keep]. Writes a bfloat16
checkpoint of random weights in the layout of Baichuan, in files of 5 GB, imports it, verifies the import, exports it
again and compares the files byte for byte; each in a process of its own, whose peak resident memory is asked of the
system. Verifying is not under the bound: it computes in float32. The reader of the safetensors library, which maps its
files, reads the checkpoint as well. Needs three times the size of the weights on disk (42 GB for 7B), deleted at the
end. Cost: eight minutes on two cores and a disk of 300 MB/s.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from baichuan_jax.convert.layouts import tensor_shapes
from baichuan_jax.convert.publish import publish, write_config
from baichuan_jax.convert.safetensors import BFLOAT16, Tensor, place
from baichuan_jax.convert.save import distribute
from baichuan_jax.convert.source import CONFIG, INDEX
from baichuan_jax.core.files import write_json
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.recipe.load import load_config

FILE_BYTES = 5 * 10**9
LAUNCH = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
MAPPED = """
import sys, ml_dtypes
from safetensors import safe_open
for path in sys.argv[1:]:
    with safe_open(path, "numpy") as file:
        for name in file.keys():
            file.get_tensor(name)
"""


def generate(cfg: DecoderConfig, directory: Path) -> int:
    """Write a checkpoint of random weights; return the bytes of its largest tensor.

    Every tensor is cut from one noise of 32 Mi values, at its own place.
    """
    rng = np.random.default_rng(0)
    noise = (cfg.init_std * rng.standard_normal(2**25, np.float32)).astype(BFLOAT16)
    tensors = {name: (BFLOAT16, shape) for name, shape in tensor_shapes(publish(cfg, "baichuan"), "baichuan").items()}
    listed, largest = {}, 0
    for name, part in distribute(tensors, FILE_BYTES).items():
        head, placed = place(directory / name, part)
        with (directory / name).open("wb") as out:
            out.write(head)
            for tensor in placed.values():
                _write_noise(out, tensor, noise, int(rng.integers(noise.size)))
        listed |= dict.fromkeys(part, name)
        largest = max(largest, *(tensor.size for tensor in placed.values()))
    if len(set(listed.values())) > 1:
        write_json(directory / INDEX[0], {"metadata": {}, "weight_map": listed})
    write_json(directory / CONFIG, write_config(publish(cfg, "baichuan"), "baichuan", "bfloat16"))
    return largest


def _write_noise(out, tensor: Tensor, noise: np.ndarray, start: int) -> None:
    left, noise = tensor.size // 2, np.roll(noise, start)
    while left:
        out.write(noise[:left].view(np.uint16).data)
        left -= min(left, noise.size)


def measured(*command: object) -> tuple[float, float]:
    """Run a command in a process of its own; return its seconds, and its peak resident memory in GB.

    A small process starts it: a process is charged with the memory of the one it was started from.
    """
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", LAUNCH, *map(str, command)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    return time.perf_counter() - start, int(done.stdout.splitlines()[-1]) * 1024 / 1e9


def main() -> None:
    """Print a line for each step."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("config", nargs="?", default="configs/model/baichuan_7b.gin")
    arguments.add_argument("--directory", type=Path, default=Path("runs/bench_convert"))
    arguments.add_argument("--keep", action="store_true", help="do not delete the files at the end")
    args = arguments.parse_args()
    cfg = load_config(args.config).model
    theirs, ours, again = (args.directory / name for name in ("published", "imported", "exported"))
    theirs.mkdir(parents=True)
    try:
        start = time.perf_counter()
        largest = generate(cfg, theirs)
        files = sorted(theirs.glob("*.safetensors"))
        size, bound = sum(file.stat().st_size for file in files) / 1e9, (2 * largest + 1e9) / 1e9
        print(f"{size:.2f} GB in {len(files)} files, generated in {time.perf_counter() - start:.0f} s")
        print(f"the largest tensor has {largest / 1e9:.3f} GB: a conversion may use {bound:.2f} GB")
        cli = (sys.executable, "-m", "baichuan_jax.cli.main", "convert")
        steps = {
            "import": (*cli, "import", theirs, ours),
            "verify the import": (*cli, "import", theirs, ours, "--verify"),
            "export": (*cli, "export", ours / "config.gin", again, "--layout", "baichuan"),
            "safetensors, reading alone": (sys.executable, "-c", MAPPED, *files),
        }
        for name, command in steps.items():
            seconds, peak = measured(*command)
            print(f"{name:28}{seconds:6.0f} s  {size / seconds:5.2f} GB/s  peak {peak:6.3f} GB")
        same = all(filecmp.cmp(file, again / file.name, shallow=False) for file in files)
        print("the exported files are", "the imported ones, byte for byte" if same else "NOT THE IMPORTED ONES")
    finally:
        if not args.keep:
            shutil.rmtree(args.directory)


if __name__ == "__main__":
    main()
