"""HumanEval: generated programs are run with their tests in the sandbox."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from baichuan_jax.core.errors import require
from baichuan_jax.evaluate.sandbox.parent import Limits, run_program

STOPS = ["\nclass", "\ndef", "\n#", "\nif", "\nprint"]  # as its authors cut a function off (arXiv 2107.03374)
AT = (1, 10, 100)


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Return the unbiased estimate of P(one of k programs is correct), from `correct` of `samples` (equation 1)."""
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)


def passed(row: dict[str, Any], continuations: list[str]) -> int:
    """Return how many continuations of a question's prompt pass its tests; they run in parallel."""
    tests = f"{row['test']}\ncheck({row['entry_point']})\n"
    run = lambda text: run_program(row["prompt"] + text, Limits(), tests).passed
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return sum(pool.map(run, continuations))


def humaneval_config(samples: int) -> dict[str, Any]:
    """Return the settings of the task: one greedy program per question, or `samples` sampled ones."""
    require(0 < samples <= 1000, "programs of a question", samples, "between 1 and 1000")
    ks = [k for k in AT if k <= samples]

    def process_results(row: dict[str, Any], results: list[list[str]]) -> dict[str, float]:
        correct = passed(row, results[0])
        return {f"pass@{k}": pass_at_k(samples, correct, k) for k in ks}

    # Temperature and top-p of the paper's samples for many programs.
    drawn = {"do_sample": True, "temperature": 0.8, "top_p": 0.95}
    return {
        "output_type": "generate_until",
        "test_split": "test",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{entry_point}}",
        "num_fewshot": 0,
        "repeats": samples,
        "generation_kwargs": {"until": STOPS, "max_gen_toks": 512, **(drawn if samples > 1 else {"do_sample": False})},
        "filter_list": [{"name": "none", "filter": [{"function": "take_first_k", "k": samples}]}],
        "process_results": process_results,
        "metric_list": [{"metric": f"pass@{k}", "aggregation": "mean", "higher_is_better": True} for k in ks],
    }


class SandboxedCodeEval:
    """Replacement of the metric "code_eval" of stock tasks, which runs programs without isolation."""

    def compute(self, references: list[str], predictions: list[list[str]], k: list[int]) -> tuple[dict, dict]:
        """Return ({"pass@k": estimate}, {}) as the hub's metric does."""
        counts = []
        for tests, programs in zip(references, predictions):
            run = lambda program, tests=tests: run_program(program, Limits(), tests).passed
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                counts.append((len(programs), sum(pool.map(run, programs))))
        means = {f"pass@{n}": sum(pass_at_k(*count, n) for count in counts) / len(counts) for n in k}
        return means, {}
