"""The peer of a benchmark: a process of another Python interpreter that waits for requests."""

from __future__ import annotations

import subprocess
import tempfile

from baichuan_jax.core.pages import without_huge_pages
from baichuan_jax.model.config import DecoderConfig
from baichuan_jax.model.feedforward import inner_size
from baichuan_jax.train.config import OptimConfig


def llama_config(cfg: DecoderConfig) -> dict:
    """Return the arguments of transformers' LlamaConfig for the same decoder."""
    return {
        "vocab_size": cfg.vocab,
        "hidden_size": cfg.hidden,
        "intermediate_size": inner_size(cfg),
        "num_hidden_layers": cfg.layers,
        "num_attention_heads": cfg.heads,
        "head_dim": cfg.head_dim,
        "max_position_embeddings": cfg.context,
        "tie_word_embeddings": False,
    }


def adamw(cfg: OptimConfig) -> list:
    """Return the first arguments of torch.optim.AdamW (rate, betas as two, eps, decay), and the largest norm."""
    return [cfg.peak_lr, cfg.b1, cfg.b2, cfg.eps, cfg.weight_decay, cfg.clip]


class Peer:
    """A running script. It answers each line with a line, and uses no processor time in between.

    python: an interpreter with the packages that the script imports, listed in `needs`. It runs with its own defaults:
    the setting of large pages of our process is not passed on.
    """

    def __init__(self, python: str, script: str, *arguments: str, needs: str):
        self._failed = f"{python} failed; it needs {needs}"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process)
        self._process = subprocess.Popen(
            [python, "-c", script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=without_huge_pages(),
        )

    def answer(self) -> str:
        """Wait for the next line. Raise SystemExit if the process has exited."""
        if not (line := self._process.stdout.readline()):
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
            raise SystemExit(f"{self._failed}; it said: {said[-1] if said else 'nothing'}")
        return line

    def ask(self, line: object) -> str:
        """Send a line; return the answer."""
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self.answer()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        """Terminate the process, and wait until its resources are released."""
        self._process.stdin.close()
        self._process.wait()
