"""The cleaned corpus as tensorflow-datasets: builder "corpus", one config per domain, splits train and validation.

Read it back here with `read_documents`, or anywhere with
`tfds.data_source("corpus/DOMAIN", split="train", data_dir=DIRECTORY)`. TensorFlow is not needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.split import SPLITS, Split

NAME, VERSION = "corpus", "1.0.0"
FIELDS = ("text", "id", "source", "language")
METADATA = "dataset_info.json"  # written last: a domain without it is not finished
SHARD_BYTES = 256 << 20  # of examples, before compression
READ_AT_ONCE = 64  # examples


def domains(directory: Path) -> list[str]:
    """Returns the domains of a corpus, sorted. Raises UserError if there is none."""
    found = sorted(path.parts[-3] for path in directory.glob(f"{NAME}/*/{VERSION}/{METADATA}"))
    if not found:
        raise UserError(f"no corpus in {directory}; make it first: baichuan-jax data CONFIG")
    return found


def read_documents(directory: Path, domain: str, split: Split) -> Iterator[dict[str, str]]:
    """Yields {"text", "id", "source", "language"} of each document of a split, in the order written."""
    if domain not in domains(directory):
        raise UserError(f"no domain {domain!r} in {directory}; it has {', '.join(domains(directory))}")
    import tensorflow_datasets as tfds
    from tensorflow_datasets.proto.tf_example_generated_pb2 import Example

    builder = tfds.builder_from_directory(domain_directory(directory, domain))
    # Decoding the protocol buffers here is several times faster than tensorflow-datasets' decoder of any feature.
    examples = builder.as_data_source(split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    for start in range(0, len(examples), READ_AT_ONCE):
        for raw in examples.__getitems__(range(start, min(start + READ_AT_ONCE, len(examples)))):
            fields = Example.FromString(raw).features.feature
            yield {name: fields[name].bytes_list.value[0].decode() for name in FIELDS}


def domain_directory(directory: Path, domain: str) -> Path:
    """Returns where tensorflow-datasets looks for a domain."""
    return directory / NAME / domain / VERSION


class DomainWriter:
    """Writes one domain. As a context manager: leaving it normally finishes the dataset, an exception does not."""

    def __init__(self, directory: Path, domain: str, shard_bytes: int = SHARD_BYTES):
        self._directory = domain_directory(directory, domain)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._features = _features()
        self._splits = {split: _SplitWriter(self._directory, split, shard_bytes) for split in SPLITS}

    def __enter__(self) -> DomainWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        for writer in self._splits.values():
            writer.close_shard()
        if kind is None:
            self._finish()

    def write(self, split: Split, document: dict[str, str]) -> None:
        """Adds a document with the fields FIELDS."""
        self._splits[split].write(self._features.serialize_example(document))

    def _finish(self) -> None:
        import tensorflow_datasets as tfds

        infos = [writer.finish() for writer in self._splits.values()]
        tfds.folder_dataset.write_metadata(
            data_dir=self._directory, features=self._features, split_infos=infos, version=VERSION, check_data=False
        )


class _SplitWriter:
    """Writes shards of bounded size; their final names hold their number, so they are renamed at the end."""

    def __init__(self, directory: Path, split: Split, shard_bytes: int):
        self._directory, self._split, self._limit = directory, split, shard_bytes
        self._lengths: list[int] = []  # documents in each shard
        self._size = self._shard_size = 0  # bytes in all, and in the shard being written
        self._writer: Any = None

    def write(self, example: bytes) -> None:
        if self._writer is None:
            from array_record.python.array_record_module import ArrayRecordWriter

            self._writer = ArrayRecordWriter(str(self._partial(len(self._lengths))), "group_size:1")
            self._lengths.append(0)
        self._writer.write(example)
        self._lengths[-1] += 1
        self._size += len(example)
        self._shard_size += len(example)
        if self._shard_size >= self._limit:
            self.close_shard()

    def close_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer, self._shard_size = None, 0

    def finish(self) -> Any:
        """Gives the shards their names; returns the SplitInfo."""
        import tensorflow_datasets as tfds

        template = tfds.core.ShardedFileTemplate(
            data_dir=self._directory, dataset_name=NAME, split=self._split, filetype_suffix="array_record"
        )
        for number in range(len(self._lengths)):
            final = template.sharded_filepath(shard_index=number, num_shards=len(self._lengths))
            self._partial(number).rename(final)
        return tfds.core.SplitInfo(
            name=self._split, shard_lengths=self._lengths, num_bytes=self._size, filename_template=template
        )

    def _partial(self, number: int) -> Path:
        return self._directory / f"{self._split}-{number:05}.partial"


def _features() -> Any:
    import tensorflow_datasets as tfds

    return tfds.features.FeaturesDict({name: tfds.features.Text() for name in FIELDS})
