"""Everything that shapes the dataset, in one value that tasks carry."""

from __future__ import annotations

from dataclasses import dataclass, field

from baichuan_jax.data.config import DataConfig
from baichuan_jax.data.dedup.config import DedupConfig
from baichuan_jax.data.quality.config import QualityConfig
from baichuan_jax.data.rules.config import FilterConfig
from baichuan_jax.data.select.config import SelectConfig


@dataclass(frozen=True)
class CorpusConfig:
    """The settings of the data step."""

    data: DataConfig
    filters: FilterConfig = field(default_factory=FilterConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    dedup: DedupConfig = field(default_factory=DedupConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
