"""Phase `assign`: the verdict on every document, from the results of earlier phases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baichuan_jax.data.flow.config import CorpusConfig
from baichuan_jax.data.flow.phase_arrays import CONTAINED, CUTS, DROPS, FINAL_VERDICTS, NEAR_VERDICTS, SCORES
from baichuan_jax.data.flow.shard import Shards
from baichuan_jax.data.flow.verdicts import PENDING, verdict
from baichuan_jax.data.flow.work import Work
from baichuan_jax.data.language import LANGUAGES
from baichuan_jax.data.rules.limits import LIMITS
from baichuan_jax.data.select.choose import within_cap
from baichuan_jax.data.split import held_out
from baichuan_jax.jobs.output import task_directory


@dataclass(frozen=True)
class Assign:
    """One task. Saves FINAL_VERDICTS.

    It removes contained documents, fragments and documents beyond the cap of a domain, and splits the rest.
    """

    cfg: CorpusConfig
    work: Work

    def __call__(self, number: int) -> None:
        shards = self.work.all()
        verdicts = np.array(self.work.load(NEAR_VERDICTS))
        verdicts[self.work.load(CONTAINED)[:, 0]] = verdict("contained")
        drops = self.work.load(DROPS)
        dropped = np.bincount(drops["document"], weights=drops["characters"], minlength=len(shards))
        cuts = self.work.join(CUTS)
        cut = np.bincount(cuts["document"], weights=cuts["end"] - cuts["start"], minlength=len(shards))
        min_letters = np.array([LIMITS[language].min_letters for language in LANGUAGES])[shards.rows["language"]]
        fragment = (dropped > 0) & (shards.rows["characters"] - dropped - cut < min_letters)
        verdicts[(verdicts == PENDING) & fragment] = verdict("fragment")
        self._cap(shards, verdicts)
        for domain in np.unique(shards.domain):
            pending = np.flatnonzero((shards.domain == domain) & (verdicts == PENDING))
            held = held_out(shards.rows["key"][pending], self.cfg.select.validation_fraction)
            verdicts[pending[held]] = verdict("validation")
        with task_directory(self.work.phase(FINAL_VERDICTS.phase), number) as directory:
            FINAL_VERDICTS.save(directory, verdicts)

    def _cap(self, shards: Shards, verdicts: np.ndarray) -> None:
        """Remove all but the best documents of each domain that has a limit of bytes."""
        scores, names = self.work.load(SCORES), list(dict.fromkeys(self.work.domains))
        for domain, max_bytes in self.cfg.select.max_bytes.items():
            pending = np.flatnonzero((shards.domain == names.index(domain)) & (verdicts == PENDING))
            rows = shards.rows[pending]
            fits = within_cap(scores[pending], rows["size"], rows["key"], max_bytes)
            verdicts[pending[~fits]] = verdict("over_cap")
