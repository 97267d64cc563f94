"""Token shards are verified before training reads them, once: those that have not changed since are not read again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax

from baichuan_jax.core.checksums import THREADS
from baichuan_jax.core.errors import DAMAGED, UserError
from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.tokenizer.shards import TokenStore
from baichuan_jax.train.agreement import texts_of_all


def verify_shards(store: TokenStore, vocab: int, record: Path) -> None:
    """Raise UserError if a shard is not what was written, or has an id that is not below `vocab`.

    record: file of the sizes and times of the files that have been verified, which the first process writes. Each of
    several processes verifies its share.
    """
    known = read_json(record) if record.exists() else {}
    found = {shard["file"]: [vocab, *map(_version, store.files(shard))] for shard in store.shards()}
    due = [shard for shard in store.shards() if known.get(shard["file"]) != found[shard["file"]]]
    why = ""
    try:
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(lambda shard: store.check(shard, vocab), due[jax.process_index() :: jax.process_count()]))
    except UserError as error:
        why = str(error)
    if reasons := [reason for reason in texts_of_all(why) if reason]:
        raise UserError(reasons[0], DAMAGED)
    if due and jax.process_index() == 0:
        write_json(record, found)


def _version(file: Path) -> list[int]:
    """Return what changes when a file is written; [] if it is missing."""
    stat = file.stat() if file.exists() else None
    return [stat.st_size, stat.st_mtime_ns] if stat else []
