"""Seventh phase: the fate of every document, from what the phases before found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.documents import FATE, SCORE
from baichuan_jax.data.flow.documents import NAME as DOCUMENTS
from baichuan_jax.data.flow.fates import HERE, fate
from baichuan_jax.data.flow.paths import Work
from baichuan_jax.data.flow.repeats import CONTAINED, DROPS
from baichuan_jax.data.flow.repeats import NAME as REPEATS
from baichuan_jax.data.flow.shard import Shards
from baichuan_jax.data.flow.sign import CUTS
from baichuan_jax.data.flow.sign import NAME as SIGN
from baichuan_jax.data.language import LANGUAGES
from baichuan_jax.data.rules.limits import LIMITS
from baichuan_jax.data.select.choose import within_cap
from baichuan_jax.data.split import held_out
from baichuan_jax.jobs.output import task_directory

NAME = "decide"


@dataclass(frozen=True)
class Decide:
    """One task. Saves `fate`, uint8 [documents]."""

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        shards = self.work.all()
        fates = np.array(self.work.load(DOCUMENTS, FATE))
        fates[self.work.load(REPEATS, CONTAINED)[:, 0]] = fate("contained")
        drops = self.work.load(REPEATS, DROPS)
        dropped = np.bincount(drops["document"], weights=drops["characters"], minlength=len(shards))
        cuts = self.work.join(SIGN, CUTS)
        cut = np.bincount(cuts["document"], weights=cuts["end"] - cuts["start"], minlength=len(shards))
        least = np.array([LIMITS[language].min_letters for language in LANGUAGES])[shards.rows["language"]]
        fragment = (dropped > 0) & (shards.rows["characters"] - dropped - cut < least)
        fates[(fates == HERE) & fragment] = fate("fragment")
        self._cap(shards, fates)
        for domain in np.unique(shards.domain):
            here = np.flatnonzero((shards.domain == domain) & (fates == HERE))
            held = held_out(shards.rows["key"][here], self.cfg.select.validation_fraction)
            fates[here[held]] = fate("validation")
        with task_directory(self.work.phase(NAME), number) as directory:
            np.save(directory / f"{FATE}.npy", fates)

    def _cap(self, shards: Shards, fates: np.ndarray) -> None:
        """Keep the best of each domain that has a limit of bytes."""
        score, names = self.work.load(DOCUMENTS, SCORE), list(dict.fromkeys(self.work.domains))
        for domain, most in self.cfg.select.max_bytes.items():
            here = np.flatnonzero((shards.domain == names.index(domain)) & (fates == HERE))
            rows = shards.rows[here]
            fits = within_cap(score[here], rows["size"], rows["key"], most)
            fates[here[~fits]] = fate("over_cap")
