"""Program of a process of two: checkpoints that one of them cannot write, and one that is damaged afterwards.

python -m tests.train.two_writers NUMBER PORT FOLDER prints a line of JSON for each thing that it finds.
"""

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

from baichuan_jax.train.checkpoint import Checkpoints
from baichuan_jax.train.config import checkpoint_steps
from baichuan_jax.train.saving import CheckpointWriter
from baichuan_jax.train.state import TrainState
from tests.disk import files_of_at_most

SHAPE = (64, 1000)


def state(step: int) -> TrainState:
    """Return a state of random numbers, half of it in each process."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("d",))
    numbers = np.random.default_rng(step).random(SHAPE, np.float32)
    split = lambda x: jax.make_array_from_callback(SHAPE, NamedSharding(mesh, PartitionSpec("d")), lambda at: x[at])
    whole = jax.device_put(np.int32(step), NamedSharding(mesh, PartitionSpec()))
    return TrainState(whole, {"w": split(numbers)}, {"m": split(numbers + 1)})


def main(number: int, port: str, folder: Path) -> None:
    """Write, fail to write, and read checkpoints beside the other process."""
    jax.distributed.initialize(f"localhost:{port}", 2, number)
    tell = lambda *found: print(json.dumps(found), flush=True)
    with CheckpointWriter(folder, keep=2) as writer:

        def save(step: int) -> None:
            writer.save(state(step), {"next_index": step})
            writer._finish()
            multihost_utils.sync_global_devices(f"{step} saved")
            tell(step, checkpoint_steps(folder), writer.news())

        save(1)
        for step, limited in ((2, 1), (3, 0)):
            with files_of_at_most(500) if number == limited else nullcontext():
                save(step)
        save(4)
        save(5)
    if number == 0:
        largest = max((path for path in folder.glob("5/**/*") if path.is_file()), key=lambda path: path.stat().st_size)
        content = bytearray(largest.read_bytes())
        content[len(content) // 2] ^= 4
        largest.write_bytes(content)
    multihost_utils.sync_global_devices("damaged")
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state(0))
    with Checkpoints(folder) as checkpoints:
        found, loader, told = checkpoints.restore(abstract)
    local = jax.tree.map(lambda a, b: np.array_equal(a.addressable_data(0), b.addressable_data(0)), found, state(4))
    tell("restored", int(found.step), loader, told, all(jax.tree.leaves(local)))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
