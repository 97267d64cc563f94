"""The funnel: how many documents and bytes each step removed, with samples of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

SAMPLES = 3
SAMPLE_CHARACTERS = 200


@dataclass
class Count:
    """Documents, and their UTF-8 bytes."""

    documents: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Counts one document of `size` bytes."""
        self.documents += 1
        self.bytes += size


@dataclass
class Removed(Count):
    """What one reason removed, and the first few beginnings of it."""

    samples: list[dict[str, str]] = field(default_factory=list)


@dataclass
class Funnel:
    """The counts of one domain.

    read: raw documents. kept: normalised ones. removed: by reason. replaced: U+FFFD put in for invalid UTF-8.
    """

    read: Count = field(default_factory=Count)
    kept: Count = field(default_factory=Count)
    removed: dict[str, Removed] = field(default_factory=dict)
    replaced: int = 0

    def remove(self, reason: str, text: str, source: str) -> None:
        """Counts a removed document."""
        entry = self.removed.setdefault(reason, Removed())
        entry.add(len(text.encode()))
        if len(entry.samples) < SAMPLES:
            entry.samples.append({"source": source, "text": text[:SAMPLE_CHARACTERS]})

    def reasons(self) -> str:
        """Returns the reasons with their counts, most frequent first: "too_short 12, duplicate 3"."""
        ordered = sorted(self.removed.items(), key=lambda item: -item[1].documents)
        return ", ".join(f"{reason} {entry.documents:,}" for reason, entry in ordered)

    def as_json(self) -> dict:
        """Returns plain values."""
        return asdict(self)
