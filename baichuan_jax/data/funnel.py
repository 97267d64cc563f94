"""The funnel: how many documents and bytes each reason removed, with samples of them.

Every count of the data step is added by a method of `Funnel`; the phases read its fields and never write them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from baichuan_jax.data.document import Damaged, Document
from baichuan_jax.data.encodings.codec import UTF8

SAMPLES = 10
SAMPLE_CHARACTERS = 300
PARTS = ("removed", "pruned")  # the fields of a funnel that count by reason
Sample = tuple[str, str, dict[str, str] | None]  # text, source, twin


@dataclass
class Count:
    """Documents (or sentences), and their UTF-8 bytes."""

    documents: int = 0
    bytes: int = 0

    def add(self, size: int, documents: int = 1) -> None:
        """Count documents of `size` bytes in all."""
        self.documents += documents
        self.bytes += size


@dataclass
class Removed(Count):
    """The count of one reason, and the beginnings of the first few removed texts."""

    samples: list[dict] = field(default_factory=list)

    def sample(self, text: str, source: str, twin: dict[str, str] | None = None) -> None:
        """Keep the beginning of a removed text while there is room.

        twin: why it was removed, {"source", "text"}: the document or sentence that stays, or the test question.
        """
        if len(self.samples) < SAMPLES:
            sample = {"source": source, "text": text[:SAMPLE_CHARACTERS]}
            if twin is not None:
                sample["twin"] = {"source": twin["source"], "text": twin["text"][:SAMPLE_CHARACTERS]}
            self.samples.append(sample)


@dataclass
class Funnel:
    """The counts of one domain.

    read: raw documents. kept: documents of the dataset. removed: documents by reason. pruned: sentences by reason, of
    documents whether these were kept or not. replaced: number of U+FFFD that replace undecodable bytes. encodings:
    number of documents in each encoding other than UTF-8. fields: in records without the text field, name -> number of
    characters.
    """

    read: Count = field(default_factory=Count)
    kept: Count = field(default_factory=Count)
    removed: dict[str, Removed] = field(default_factory=dict)
    pruned: dict[str, Removed] = field(default_factory=dict)
    replaced: int = 0
    encodings: dict[str, int] = field(default_factory=dict)
    fields: dict[str, int] = field(default_factory=dict)

    def add_decoded(self, document: Document) -> None:
        """Count how a document was decoded; `add_read` counts it as read."""
        self.replaced += document.replaced
        if document.encoding != UTF8:
            self.encodings[document.encoding] = self.encodings.get(document.encoding, 0) + 1

    def add_damaged(self, damaged: Damaged) -> None:
        """Count what could not be read, as read and as removed."""
        size = len(damaged.text.encode())
        self.add_read(size, 1)
        self.remove(damaged.reason, size, damaged.text, damaged.message)
        for name, characters in damaged.fields.items():
            self.fields[name] = self.fields.get(name, 0) + characters

    def add_read(self, size: int, documents: int, replaced: int = 0) -> None:
        """Count raw documents of `size` bytes in all. replaced: control characters replaced in normalisation."""
        self.read.add(size, documents)
        self.replaced += replaced

    def keep(self, size: int) -> None:
        """Count a document of the dataset."""
        self.kept.add(size)

    def remove(self, reason: str, size: int, text: str, source: str) -> None:
        """Count a removed document of `size` bytes."""
        _add(self.removed, reason, size, text, source)

    def remove_many(self, reason: str, size: int, documents: int, samples: Iterable[Sample] = ()) -> None:
        """Count removed documents of `size` bytes in all. samples: the arguments of `Removed.sample` for each."""
        entry = self.removed.setdefault(reason, Removed())
        entry.add(size, documents)
        for sample in samples:
            entry.sample(*sample)

    def prune(self, reason: str, text: str, source: str, twin: dict[str, str] | None = None) -> None:
        """Count a sentence that was removed from a document. twin: as in `Removed.sample`."""
        _add(self.pruned, reason, len(text.encode()), text, source, twin)

    def samples_more(self, reason: str) -> bool:
        """Return whether there is room for another sample of the sentences pruned for a reason."""
        return reason not in self.pruned or len(self.pruned[reason].samples) < SAMPLES

    def move(self, reason: str, other: str, documents: int, size: int) -> None:
        """Count some of the documents that were removed for one reason as removed for another."""
        if documents:
            self.removed[reason].add(-size, -documents)
            self.remove_many(other, size, documents)
            if not self.removed[reason].documents:
                del self.removed[reason]

    def keep_rest(self) -> None:
        """Count every document that was read and not removed as kept; its bytes are not known yet."""
        self.kept = Count(self.read.documents - sum(entry.documents for entry in self.removed.values()))

    def remove_kept(self) -> None:
        """Count kept documents as removed: the domain has too few."""
        if self.kept.documents:
            self.remove_many("lone_document", self.kept.bytes, self.kept.documents)
            self.kept = Count()

    def merge(self, other: Funnel) -> None:
        """Add the counts of another part of the domain."""
        self.read.add(other.read.bytes, other.read.documents)
        self.kept.add(other.kept.bytes, other.kept.documents)
        self.replaced += other.replaced
        for mine, theirs in ((self.encodings, other.encodings), (self.fields, other.fields)):
            for name, number in theirs.items():
                mine[name] = mine.get(name, 0) + number
        for mine, theirs in ((self.removed, other.removed), (self.pruned, other.pruned)):
            for reason, entry in theirs.items():
                total = mine.setdefault(reason, Removed())
                total.add(entry.bytes, entry.documents)
                total.samples = (total.samples + entry.samples)[:SAMPLES]

    def reasons(self) -> str:
        """Return the reasons with their counts, most frequent first: "too_short 12, duplicate 3"."""
        ordered = sorted(self.removed.items(), key=lambda item: -item[1].documents)
        return ", ".join(f"{reason} {entry.documents:,}" for reason, entry in ordered)

    def as_json(self) -> dict:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict) -> Funnel:
        """Return the funnel that `as_json` gave."""
        removed, pruned = ({reason: Removed(**entry) for reason, entry in value[key].items()} for key in PARTS)
        rest = {key: value[key] for key in ("replaced", "encodings", "fields")}
        return cls(Count(**value["read"]), Count(**value["kept"]), removed, pruned, **rest)


def merged(funnels: Iterable[Funnel]) -> Funnel:
    """Return the sum of funnels."""
    total = Funnel()
    for funnel in funnels:
        total.merge(funnel)
    return total


def _add(
    entries: dict[str, Removed], reason: str, size: int, text: str, source: str, twin: dict[str, str] | None = None
) -> None:
    entry = entries.setdefault(reason, Removed())
    entry.add(size)
    entry.sample(text, source, twin)
