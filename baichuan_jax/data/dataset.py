"""The cleaned corpus as tensorflow-datasets: builder "corpus", one config per domain, splits train and validation.

Read it back here with `read_documents`, or anywhere with
`tfds.data_source("corpus/DOMAIN", split="train", data_dir=DIRECTORY)`. TensorFlow is not needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.data.split import SPLITS, Split

NAME, VERSION = "corpus", "1.0.0"
# Of each document. source: file and line. score: of the quality model, -1 if there is none for its language.
STRINGS, NUMBERS = ("text", "id", "source", "language"), ("score",)
METADATA = "dataset_info.json"  # written last: a domain without it is incomplete
SHARD_BYTES = 256 << 20  # of examples, before compression
READ_AT_ONCE = 64  # examples

Document = dict[str, Any]


def domains(directory: Path) -> list[str]:
    """Return the domains of a corpus, sorted. Raise UserError if there is none."""
    found = sorted(path.parts[-3] for path in directory.glob(f"{NAME}/*/{VERSION}/{METADATA}"))
    if not found:
        raise UserError(f"no corpus in {directory}; make it first: baichuan-jax data CONFIG")
    return found


def split_size(directory: Path, domain: str, split: Split) -> tuple[int, int]:
    """Return (number of documents of a split, their size in bytes), from the metadata of the dataset."""
    info = _builder(directory, domain).info.splits[split]
    return info.num_examples, info.num_bytes


def read_documents(
    directory: Path,
    domain: str,
    split: Split,
    first: int = 0,
    end: int | None = None,
    fields: Sequence[str] = (*STRINGS, *NUMBERS),
) -> Iterator[Document]:
    """Yield {"text", "id", "source", "language", "score"} of each document of a split, in the order written.

    first, end: the range of documents to read; None is all. Documents before it are not read.
    fields: the fields to return; fewer are read faster.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.proto.tf_example_generated_pb2 import Example

    builder = _builder(directory, domain)
    strings, numbers = ([name for name in names if name in fields] for names in (STRINGS, NUMBERS))
    # Decoding the protocol buffers here is several times faster than tensorflow-datasets' decoder of any feature.
    examples = builder.as_data_source(split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    end = len(examples) if end is None else end
    for start in range(first, end, READ_AT_ONCE):
        for raw in examples.__getitems__(range(start, min(start + READ_AT_ONCE, end))):
            found = Example.FromString(raw).features.feature
            document: Document = {name: found[name].bytes_list.value[0].decode() for name in strings}
            yield document | {name: found[name].float_list.value[0] for name in numbers}


def _builder(directory: Path, domain: str) -> Any:
    if domain not in domains(directory):
        raise UserError(f"no domain {domain!r} in {directory}; it has {', '.join(domains(directory))}")
    import tensorflow_datasets as tfds

    return tfds.builder_from_directory(domain_directory(directory, domain))


def domain_directory(directory: Path, domain: str) -> Path:
    """Return the directory of a domain, as tensorflow-datasets names it."""
    return directory / NAME / domain / VERSION


class SplitWriter:
    """Write the documents of one split into files of bounded size, SPLIT-00000.array_record and so on.

    A context manager. files: (name, documents, bytes of examples) of each.
    """

    def __init__(self, directory: Path, split: Split, shard_bytes: int = SHARD_BYTES):
        from tensorflow_datasets.proto.tf_example_generated_pb2 import Example

        self._example = Example
        self._directory, self._split, self._limit = directory, split, shard_bytes
        self._writer: Any = None
        self.files: list[tuple[str, int, int]] = []

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def write(self, document: Document) -> None:
        """Add a document."""
        if self._writer is None:
            from array_record.python.array_record_module import ArrayRecordWriter

            name = f"{self._split}-{len(self.files):05}.array_record"
            self._writer = ArrayRecordWriter(str(self._directory / name), "group_size:1")
            self.files.append((name, 0, 0))
        raw = self._serialize(document)
        self._writer.write(raw)
        name, documents, size = self.files[-1]
        self.files[-1] = (name, documents + 1, size + len(raw))
        if size + len(raw) >= self._limit:
            self._close()

    def _serialize(self, document: Document) -> bytes:
        """Return a serialised tf.train.Example; tensorflow-datasets' encoder takes five times as long."""
        example = self._example()
        for name in STRINGS:
            example.features.feature[name].bytes_list.value.append(document[name].encode())
        for name in NUMBERS:
            example.features.feature[name].float_list.value.append(document[name])
        return example.SerializeToString(deterministic=True)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def finish_domain(directory: Path, domain: str, files: dict[Split, Sequence[tuple[Path, int, int]]]) -> None:
    """Move files (path, documents, bytes) of every split into the dataset, and write its metadata.

    May be called again with the same files after an interruption.
    """
    import numpy as np
    import tensorflow_datasets as tfds

    target = domain_directory(directory, domain)
    target.mkdir(parents=True, exist_ok=True)
    infos = []
    for split in SPLITS:
        template = tfds.core.ShardedFileTemplate(
            data_dir=target, dataset_name=NAME, split=split, filetype_suffix="array_record"
        )
        for number, (path, _, _) in enumerate(files[split]):
            if path.exists():
                os.replace(path, template.sharded_filepath(shard_index=number, num_shards=len(files[split])))
        lengths = [documents for _, documents, _ in files[split]]
        size = sum(size for _, _, size in files[split])
        infos.append(tfds.core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=size, filename_template=template))
    features = {name: tfds.features.Text() for name in STRINGS} | dict.fromkeys(NUMBERS, np.float32)
    tfds.folder_dataset.write_metadata(
        data_dir=target,
        features=tfds.features.FeaturesDict(features),
        split_infos=infos,
        version=VERSION,
        check_data=False,
    )
