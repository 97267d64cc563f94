"""Files of conversations to samples: read, checked, split, encoded, and cut to the length of a sequence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from baichuan_jax.chat.conversation import BadConversation
from baichuan_jax.chat.encode import ChatTemplate, Sample
from baichuan_jax.chat.jinja import Message
from baichuan_jax.core.errors import UserError, require
from baichuan_jax.core.files import read_json, write_json
from baichuan_jax.data.document import Damaged
from baichuan_jax.data.sources.file_system import File
from baichuan_jax.tune.data_config import InstructionConfig
from baichuan_jax.tune.faults import CUT, TEMPLATE, Fault, Tally, write_faults
from baichuan_jax.tune.fit import fit
from baichuan_jax.tune.formats import RecordReader
from baichuan_jax.tune.records import WHOLE_FILE, Record, read_records, record_files
from baichuan_jax.tune.samples import Samples, SampleWriter, samples_in

Tell = Callable[[str, int, int], None]
AT_ONCE = 1024  # conversations that are encoded at once
SAMPLES, FAULTS, TALLIES = "samples", "faults.jsonl", "tallies.json"


class Conversation(NamedTuple):
    """A conversation. place: its file and line."""

    place: str
    messages: list[Message]


@dataclass(frozen=True)
class Prepared:
    """samples: of all sources. tallies: of each source. faults: of all, in the order of the files.

    lengths: of each source, the ids of each conversation that could be encoded, before any was cut or dropped.
    """

    samples: Samples
    tallies: dict[str, Tally]
    faults: list[Fault]
    lengths: dict[str, list[int]]


def prepared_in(
    directory: Path, prepare: Callable[[], Prepared], write: bool = True
) -> tuple[Samples, dict[str, dict[str, Any]]]:
    """Return the samples in a directory, and the tallies as records; call `prepare` if they are not there.

    write: whether what was prepared is written. Of several processes with one directory only one may.
    """
    found = samples_in(directory / SAMPLES)
    if found is not None:
        return found, read_json(directory / TALLIES)
    made = prepare()
    tallies = {name: tally.as_record() for name, tally in made.tallies.items()}
    if write:
        write_faults(made.faults, directory / FAULTS)
        write_json(directory / TALLIES, tallies)
        made.samples.save(directory / SAMPLES)
    return made.samples, tallies


def instruction_files(cfg: InstructionConfig) -> dict[str, tuple[File, ...]]:
    """Return the files of every source. Raise UserError, naming all problems, if one cannot be read."""
    found, wrong = {}, []
    for source, spec in cfg.sources.items():
        try:
            found[source] = record_files(spec)
        except UserError as error:
            wrong.append(f"InstructionConfig.sources[{source!r}]: {error}")
    if wrong:
        raise UserError("\n".join(wrong))
    return found


def prepare(
    cfg: InstructionConfig, template: ChatTemplate, length: int, tell: Tell = lambda what, done, count: None
) -> Prepared:
    """Return the samples of all sources, for sequences of `length` tokens.

    tell: called with ("files", files read, files). Raise UserError if a source has nothing to train on, more bad
    records than it may have, or a file that cannot be read to its end; or if the template is not one to train with.
    """
    require(
        bool(cfg.sources), "InstructionConfig.sources", cfg.sources, "at least one source: {'mine': 'chats/*.jsonl'}"
    )
    files = instruction_files(cfg)
    _ = template.end_ids  # raises UserError for a template that nothing can be trained with
    writer, preparations = SampleWriter(list(cfg.sources)), dict[str, _Preparation]()
    done, count = 0, sum(map(len, files.values()))
    for number, (source, of_source) in enumerate(files.items()):
        preparation = preparations[source] = _Preparation(cfg, source, template, length)
        for file in of_source:
            for sample, held_out, place in preparation.samples(file):
                writer.add(sample, number, held_out, place)
            done += 1
            tell("files", done, count)
        preparation.tally.check(source, cfg.max_bad)
    return Prepared(
        writer.finish(),
        {source: each.tally for source, each in preparations.items()},
        [fault for each in preparations.values() for fault in each.faults],
        {source: each.lengths for source, each in preparations.items()},
    )


class _Preparation:
    """The preparation of a source. tally, faults, lengths: of the files read so far, as `Prepared` has them."""

    def __init__(self, cfg: InstructionConfig, source: str, template: ChatTemplate, length: int):
        self._cfg, self._source, self._template, self._length = cfg, source, template, length
        self._reader = RecordReader(cfg, source)
        self.tally, self.faults, self.lengths = Tally(), list[Fault](), list[int]()

    def samples(self, file: File) -> Iterator[tuple[Sample, bool, str]]:
        """Yield (sample, whether it is held out, place) of the records of a file; the others become faults."""
        conversations = self._conversations(read_records(file, self._reader.columns))
        while some := list(islice(conversations, AT_ONCE)):
            encoded = self._template.encode_batch([each.messages for each in some])
            for conversation, found in zip(some, encoded):
                try:
                    yield from self._fitted(conversation, found)
                except BadConversation as bad:
                    self._fault(bad.reason, f"{conversation.place}: {bad}")

    def _conversations(self, records: Iterable[Record | Damaged]) -> Iterator[Conversation]:
        for record in records:
            if isinstance(record, Damaged):
                if record.reason in WHOLE_FILE:
                    raise UserError(f"InstructionConfig.sources[{self._source!r}]: {record.message}")
                self.tally.read += 1
                self._fault(record.reason, record.message)
                continue
            self.tally.read += 1
            try:
                yield Conversation(record.place, self._reader.messages(record.value))
            except BadConversation as bad:
                self._fault(bad.reason, f"{record.place}: {bad}")

    def _fitted(self, conversation: Conversation, found: list[Sample] | UserError) -> list[tuple[Sample, bool, str]]:
        """Count a conversation, and return its samples. Raise BadConversation if there are none."""
        place, messages = conversation
        if isinstance(found, UserError):
            raise BadConversation(str(found), TEMPLATE)
        self.lengths.append(max(len(sample.ids_T) for sample in found))
        fitted = fit(self._template, messages, found, self._length, self._cfg.long == "cut")
        for sample in fitted.samples:
            if not sample.mask_T[1:].any():
                raise UserError(
                    f"{place}: chat template {self._template.name} leaves no answer in the loss (empty mask)"
                )
        held_out = _hash(messages) < int(self._cfg.held_out * 2**64)
        self.tally.kept += 1
        self.tally.held_out += held_out
        self.tally.samples += len(fitted.samples)
        self.tally.cut += fitted.cut
        self.tally.answers_cut += fitted.answers_cut
        if fitted.cut:
            self._fault(CUT, f"{place}: its oldest turns are left out; {fitted.answers_cut} answers are not trained on")
        return [(sample, held_out, place) for sample in fitted.samples]

    def _fault(self, reason: str, message: str) -> None:
        written = message.encode(errors="backslashreplace").decode()  # a field's name may have a lone surrogate
        self.faults.append(Fault(self._source, reason, written))
        self.tally.note(self.faults[-1])


def _hash(messages: Sequence[Message]) -> int:
    return xxhash.xxh3_64_intdigest(json.dumps(messages, ensure_ascii=False).encode())
