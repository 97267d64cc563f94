"""Phase `exact_dedup`: one of equal documents stays, and the quality model is fitted to the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.files import write_json
from baichuan_jax.data.dedup.runs import run_starts
from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.phase_arrays import EXACT_DEDUP, ORIGINALS, READ, REMOVED, REMOVED_COPIES, STARTS, UNIQUE
from baichuan_jax.data.flow.read import REJECTED
from baichuan_jax.data.flow.shard import Shard, Shards
from baichuan_jax.data.flow.work import Work
from baichuan_jax.data.language import LANGUAGES, Language
from baichuan_jax.data.quality import config as quality
from baichuan_jax.data.quality.config import QualityConfig
from baichuan_jax.data.quality.model import fit_quality_models, unscored
from baichuan_jax.jobs.output import task_directory

MODEL, REPORT = "quality.npz", "quality.json"  # the quality model, and how well it separates good text from bad


@dataclass(frozen=True)
class ExactDedup:
    """One task. Saves UNIQUE, ORIGINALS, STARTS, REMOVED_COPIES, and the quality model with its report."""

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        with task_directory(self.work.phase(EXACT_DEDUP), number) as directory:
            shards = self.work.all()
            originals = first_of_equal(shards)
            unique = originals == np.arange(len(originals))
            UNIQUE.save(directory, unique)
            ORIGINALS.save(directory, originals)
            STARTS.save(directory, shards.starts)
            REMOVED_COPIES.save(directory, self._removed_copies())
            cfg = self.cfg.quality
            good, bad = (self._examples(shards, unique, names) for names in (cfg.good, cfg.bad))
            model, report = fit_quality_models(good, bad, cfg)
            _refuse_cut(cfg, report, {LANGUAGES[code] for code in np.unique(shards.rows["language"][unique]).tolist()})
            model.save(directory / MODEL)
            write_json(directory / REPORT, report)

    def _removed_copies(self) -> np.ndarray:
        """Return REMOVED_COPIES: documents that the funnel counts as duplicates although a rule removed them."""
        parts = [self.work.load(REMOVED, number) for number in range(self.work.shards)]
        rows = np.concatenate(parts)
        shard = np.repeat(np.arange(len(parts)), list(map(len, parts)))
        _, first = np.unique(rows["key"], return_index=True)
        copies = np.ones(len(rows), bool)
        copies[first] = False
        return np.stack([shard[copies], rows["reason"][copies], rows["size"][copies]], axis=1).astype(np.int64)

    def _examples(self, shards: Shards, unique: np.ndarray, names: tuple[str, ...]) -> dict[Language, list[str]]:
        """Return example texts of domains by language, those with the smallest keys.

        names: of domains; "rejected": documents removed by the rules.
        """
        most, found = self.cfg.quality.examples, {}
        for code, language in enumerate(LANGUAGES):
            chosen: list[tuple[int, str]] = []
            for shard, rows in self._candidates(shards, unique, names):
                rows = rows[shard.rows["language"][rows] == code]
                rows = np.sort(rows[np.argsort(shard.rows["key"][rows])[:most]])
                chosen = sorted([*chosen, *zip(shard.rows["key"][rows].tolist(), shard.texts(rows))])[:most]
            if chosen:
                found[language] = list(dict(chosen).values())
        return found

    def _candidates(
        self, shards: Shards, unique: np.ndarray, names: tuple[str, ...]
    ) -> Iterator[tuple[Shard, np.ndarray]]:
        """Yield (shard, rows that may serve as examples) of domains."""
        for number, domain in enumerate(self.work.domains):
            if domain in names:
                yield shards.parts[number], np.flatnonzero(unique[shards.starts[number] : shards.starts[number + 1]])
        if quality.REJECTED in names:
            for number in range(self.work.shards):
                shard = Shard(self.work.task(READ, number) / REJECTED)
                yield shard, np.arange(len(shard.rows))


def _refuse_cut(cfg: QualityConfig, report: dict, languages: set[Language]) -> None:
    """Raise UserError if there is a cut, and text in a language that has no quality model."""
    without = {name: why for name, why in unscored(report, sorted(languages)).items() if name not in cfg.unscored}
    named = next((name for name in ("cut", "sentence_cut") if getattr(cfg, name)), None)
    if named and without:
        said = ", ".join(f"{language!r} ({why})" for language, why in without.items())
        allowed = tuple(sorted({*cfg.unscored, *without}))
        raise UserError(
            f"QualityConfig.{named} = {getattr(cfg, named)}: no quality model for text in {said}; add domains of good "
            "and bad text in these languages to QualityConfig.good and .bad (about 150 short documents of each, or 30 "
            f'long ones), or keep such text unscored: --set "QualityConfig.unscored={allowed!r}"'
        )


def first_of_equal(shards: Shards) -> np.ndarray:
    """Return for each document the one that stays of all with the same key, int64 [documents].

    It is of the domain that the config names first; within a domain it has the longest text (they differ in white
    space), then the smallest checksum. So the order of the documents within a domain has no influence.
    """
    rows = shards.rows
    order = np.lexsort((rows["crc"], -rows["size"].astype(np.int64), shards.domain, rows["key"]))
    keys = rows["key"][order]
    starts = run_starts(keys)
    originals = np.empty(len(rows), np.int64)
    originals[order] = np.repeat(order[starts], np.diff(starts, append=len(keys)))
    return originals
