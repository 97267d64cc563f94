"""Prepared tensorflow-datasets datasets as sources, read without TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.suggest import nearest
from baichuan_jax.data.document import Document, OnDamage, decoded

SPEC = re.compile(r"(?P<name>\w+(/[\w.+-]+)?(:\d+\.\d+\.\d+)?)(@(?P<split>.+))?")


def tfds_files(spec: str) -> tuple[Path, ...]:
    """Return the files of a prepared dataset. Raise UserError if it does not exist."""
    builder, _, _ = _open(spec)
    return tuple(sorted(path for path in Path(builder.data_path).iterdir() if path.is_file()))


def read_tfds(spec: str, text_field: str, damaged: OnDamage) -> Iterator[Document]:
    """Yield one document for each example of NAME[/CONFIG][:VERSION][@SPLIT]."""
    builder, name, split = _open(spec)
    examples = _data_source(builder, split, spec)
    if text_field not in builder.info.features:
        fields = ", ".join(sorted(builder.info.features))
        raise UserError(f"tfds:{spec}: no field {text_field!r}; it has {fields}; choose with DataConfig.text_fields")
    for index, example in enumerate(examples):
        source = f"{name}@{split}:{index}"
        if not isinstance(example[text_field], bytes):
            raise UserError(f"{source}: field {text_field!r} is not text but {type(example[text_field]).__name__}")
        yield decoded(example[text_field], source, damaged)


def _open(spec: str) -> tuple[Any, str, str]:
    """Return the builder of a prepared dataset, its name and the split."""
    match = SPEC.fullmatch(spec)
    if match is None:
        raise UserError(f"tfds:{spec}: expected tfds:NAME[/CONFIG][:VERSION][@SPLIT], for example tfds:wiki40b/zh-cn")
    import tensorflow_datasets as tfds

    name = match["name"]
    try:
        return tfds.core.read_only_builder.builder_from_files(name), name, match["split"] or "train"
    except tfds.core.DatasetNotFoundError:
        raise UserError(f"tfds:{spec}: {_missing(name)}") from None


def _missing(name: str) -> str:
    """Return the message for a dataset that is not on disk."""
    import tensorflow_datasets as tfds

    builder = re.split("[/:]", name)[0]
    # Without TensorFlow the list lacks the older builders, so an unknown name gets a hint, not a verdict.
    known = tfds.list_builders(with_community_datasets=False)
    near = None if builder in known else nearest(builder, known)
    return (
        f"not prepared in {tfds.core.constants.DATA_DIR} (TFDS_DATA_DIR says where to look); prepare it once with: "
        f"tfds build {name} --file_format=array_record" + (f"; or did you mean {near}?" if near else "")
    )


def _data_source(builder: Any, split: str, spec: str) -> Any:
    try:
        return builder.as_data_source(split=split)
    except NotImplementedError:
        raise UserError(
            f"tfds:{spec}: {builder.data_path} is in a format that needs TensorFlow; prepare it again with "
            "--file_format=array_record"
        ) from None
    except (KeyError, ValueError):
        raise UserError(f"tfds:{spec}: no split {split!r}; it has {', '.join(builder.info.splits)}") from None
