"""Second phase: equal documents go, and the quality model learns from what is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import write_json
from baichuan_jax.data.dedup.runs import run_starts
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.read import NAME as READ
from baichuan_jax.data.flow.read import REJECTED, REMOVED
from baichuan_jax.data.flow.shard import Shard, Shards
from baichuan_jax.data.language import LANGUAGES, Language
from baichuan_jax.data.quality import config as quality
from baichuan_jax.data.quality.config import QualityConfig
from baichuan_jax.data.quality.model import fit, unscored
from baichuan_jax.jobs.output import task_directory

NAME, FIRST, ORIGINALS, COPIES = "unite", "first", "originals", "copies"
MODEL, REPORT = "quality.npz", "quality.json"


@dataclass(frozen=True)
class Unite:
    """One task. Saves the quality model and, over the documents of all shards, in order:

    `first`, bool [documents]: whether a document stands for all that equal it; `originals`, int64 [documents], the
    number of that one; `starts`, int64 [shards + 1].
    Of what the rules removed, `copies`, int64 [copies, 3]: (shard, reason, bytes) of each that equals an earlier one.
    """

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        with task_directory(self.work.phase(NAME), number) as directory:
            shards = self.work.all()
            originals = first_of_equal(shards)
            first = originals == np.arange(len(originals))
            np.save(directory / f"{FIRST}.npy", first)
            np.save(directory / f"{ORIGINALS}.npy", originals)
            np.save(directory / "starts.npy", shards.starts)
            np.save(directory / f"{COPIES}.npy", self._copies())
            cfg = self.cfg.quality
            good, bad = (self._examples(shards, first, names) for names in (cfg.good, cfg.bad))
            model, report = fit(good, bad, cfg)
            _refuse_cut(cfg, report, {LANGUAGES[code] for code in np.unique(shards.rows["language"][first]).tolist()})
            model.save(directory / MODEL)
            write_json(directory / REPORT, report)

    def _copies(self) -> np.ndarray:
        """Return who goes as a duplicate, though a rule would have removed it as well."""
        parts = [self.work.load(READ, REMOVED, number) for number in range(self.work.shards)]
        rows = np.concatenate(parts)
        shard = np.repeat(np.arange(len(parts)), list(map(len, parts)))
        _, first = np.unique(rows["key"], return_index=True)
        copies = np.ones(len(rows), bool)
        copies[first] = False
        return np.stack([shard[copies], rows["reason"][copies], rows["size"][copies]], axis=1).astype(np.int64)

    def _examples(self, shards: Shards, first: np.ndarray, names: tuple[str, ...]) -> dict[Language, list[str]]:
        """Return the texts of domains, and of what was rejected if it is named, by language: the smallest keys."""
        most, found = self.cfg.quality.examples, {}
        for code, language in enumerate(LANGUAGES):
            chosen: list[tuple[int, str]] = []
            for shard, rows in self._shards(shards, first, names):
                rows = rows[shard.rows["language"][rows] == code]
                rows = np.sort(rows[np.argsort(shard.rows["key"][rows])[:most]])
                chosen = sorted([*chosen, *zip(shard.rows["key"][rows].tolist(), shard.texts(rows))])[:most]
            if chosen:
                found[language] = list(dict(chosen).values())
        return found

    def _shards(self, shards: Shards, first: np.ndarray, names: tuple[str, ...]) -> Iterator[tuple[Shard, np.ndarray]]:
        """Yield (shard, rows that may serve as examples) of domains."""
        for number, domain in enumerate(self.work.domains):
            if domain in names:
                yield shards.parts[number], np.flatnonzero(first[shards.starts[number] : shards.starts[number + 1]])
        if quality.REJECTED in names:
            for number in range(self.work.shards):
                shard = Shard(self.work.task("read", number) / REJECTED)
                yield shard, np.arange(len(shard.rows))


def _refuse_cut(cfg: QualityConfig, report: dict, languages: set[Language]) -> None:
    """Raise UserError if a cut would let text of a language pass that no model scores."""
    without = {name: why for name, why in unscored(report, sorted(languages)).items() if name not in cfg.unscored}
    named = next((name for name in ("cut", "sentence_cut") if getattr(cfg, name)), None)
    if named and without:
        said = ", ".join(f"{language!r} ({why})" for language, why in without.items())
        allowed = tuple(sorted({*cfg.unscored, *without}))
        raise UserError(
            f"QualityConfig.{named} = {getattr(cfg, named)}: there is text without a quality model, in {said}: name "
            "domains of good and of bad text in these languages (QualityConfig.good, .bad), some 150 short documents "
            f'of each or 30 long ones, or let it pass unscored: --set "QualityConfig.unscored={allowed!r}"'
        )


def first_of_equal(shards: Shards) -> np.ndarray:
    """Return for each document the one that stands for all with the same key, int64 [documents].

    It is the one of the first shard's domain; within a domain of the longest text (they differ in white space), then
    of the smallest checksum. So the order of the documents of a domain does not matter.
    """
    rows = shards.rows
    order = np.lexsort((rows["crc"], -rows["size"].astype(np.int64), shards.domain, rows["key"]))
    keys = rows["key"][order]
    starts = run_starts(keys)
    originals = np.empty(len(rows), np.int64)
    originals[order] = np.repeat(order[starts], np.diff(starts, append=len(keys)))
    return originals
