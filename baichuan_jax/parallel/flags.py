"""What the compiler is asked for beyond its defaults, as options of one compile: nothing of the process changes.

Each flag changes what `python -m experiments.flags` compiles for 7 billion parameters. Flags that changed nothing
there, or nothing for the better, are in experiments/LOG.md.
"""

from __future__ import annotations

FLAGS: dict[str, dict[str, bool]] = {
    "cpu": {},
    "gpu": {
        # On by itself from Hopper on; without it, nothing runs beside a collective on an A800.
        "xla_gpu_enable_latency_hiding_scheduler": True,
    },
    "tpu": {},
}
