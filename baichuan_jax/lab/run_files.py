"""What a run left in its workdir, read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from baichuan_jax.core.files import read_json
from baichuan_jax.core.goodput import Goodput, read_ledger, sum_up
from baichuan_jax.core.metrics import read_metrics, read_rejected


@dataclass(frozen=True)
class RunRecord:
    """A run's record.

    config: text of its config. results, versions: by finished stage, in the order they ran. metrics: of training.
    tuning: those of tuning.
    taken: {stage: workdir of the run that it is taken from}.
    rejected: of each time that training went back, which batches it went on without, and why.
    goodput: where the wall time of training went; None if that is not on record.
    changes: settings that training has gone on with, each with the step it changed after. code, peak_host_memory: by
    finished stage, the revision of the code ({commit, changes}) and the most bytes that its process had; {} and 0 of
    runs made before these were recorded.
    """

    name: str
    config: str
    results: dict[str, dict]
    versions: dict[str, dict[str, str]]
    metrics: list[dict]
    tuning: list[dict]
    taken: dict[str, str]
    rejected: list[dict]
    goodput: Goodput | None
    changes: list[dict]
    code: dict[str, dict[str, str]]
    peak_host_memory: dict[str, int]

    @property
    def steps(self) -> list[dict]:
        """Records of training steps."""
        return [record for record in self.metrics if "loss" in record]

    @property
    def validations(self) -> list[dict]:
        """Records of evaluations during training."""
        return [record for record in self.metrics if "validation" in record]

    @property
    def tokens_per_step(self) -> int:
        """Tokens in one optimizer step."""
        if train := self.results.get("train"):
            return train["tokens"] // train["steps"]
        return self.number("TrainConfig.batch") * self.number("TrainConfig.length")

    def number(self, setting: str) -> int:
        """Return the value of a setting of the config."""
        line = next(line for line in self.config.splitlines() if line.startswith(f"{setting} = "))
        return int(line.partition(" = ")[2])


def read_run(workdir: Path, places: Mapping[str, Path]) -> RunRecord:
    """Read every one of these stages that has a manifest. places: their directories."""
    found = {stage: place / "manifest.json" for stage, place in places.items()}
    manifests = {stage: read_json(path) for stage, path in found.items() if path.exists()}
    return RunRecord(
        name=workdir.resolve().name,
        config=(workdir / "config.gin").read_text(encoding="utf-8"),
        results={stage: manifest["result"] for stage, manifest in manifests.items()},
        versions={stage: manifest["versions"] for stage, manifest in manifests.items()},
        metrics=read_metrics(places["train"]),
        tuning=read_metrics(places["tune"]),
        taken={stage: str(places[stage].parent) for stage in manifests if places[stage].parent != workdir},
        rejected=read_rejected(places["train"]),
        goodput=sum_up(ledger) if (ledger := read_ledger(places["train"].parent)) else None,
        changes=manifests.get("train", {}).get("changes", []),
        code={stage: manifest.get("code", {}) for stage, manifest in manifests.items()},
        peak_host_memory={stage: manifest.get("peak_host_memory_bytes", 0) for stage, manifest in manifests.items()},
    )
