"""Random Unicode strings: every plane, and what tokenizers trip over."""

import random

HARD = (
    *("\r\n", "\n\n", "\t", " ", "  ", "    ", "\u00a0", "\u3000", "\u200b", "\ufeff", "\u2581", "\u2028", "\x85"),
    *("\x01", "\x1b", "\x7f", "e\u0301", "ក្ត", "👩\u200d👩\u200d👧", "🇨🇳", "\ufffd", "\ufffe", "\U0010ffff"),
    *("<s>", "</s>", "<unk>", "<0x0A>", "<reserved_3>", "<p>", "00", "123", "１２", "中国", "的", " the", "def ", "'s"),
)
RANGES = (
    *((0x20, 0x7F), (1, 0x20), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x590), (0x590, 0x780), (0x900, 0xE80)),
    *((0x3000, 0x3100), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0xE000, 0x10000), (0x10000, 0x20000)),
    *((0x20000, 0x32000), (0x10000, 0x110000)),
)


def random_text(rng: random.Random) -> str:
    """Return up to 40 characters and hard sequences, without NUL and surrogates."""
    return "".join(_part(rng) for _ in range(rng.randrange(40)))


def _part(rng: random.Random) -> str:
    if rng.random() < 0.4:
        return rng.choice(HARD)
    return chr(rng.randrange(*rng.choice(RANGES)))
