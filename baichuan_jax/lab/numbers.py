"""Numbers formatted for reading, without line breaks."""

from __future__ import annotations

SPACE = "\u00a0"
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def short(value: float, unit: str = "") -> str:
    """Return three digits and a decimal prefix: 12.3 M."""
    for scale, prefix in _UNITS:
        if value >= 0.9995 * scale:
            return f"{_three_digits(value / scale)}{SPACE}{prefix}{unit}"
    return f"{_three_digits(value)}{SPACE}{unit}" if unit else _three_digits(value)


def _three_digits(value: float) -> str:
    if value == int(value) or value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def percent(part: float, whole: float, digits: int = 2) -> str:
    """Return a share: 12.34%; 0 if the whole is 0."""
    return f"{part / whole if whole else 0:.{digits}%}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units: 2 h 05 min, 3 min 20 s, 4.2 s."""
    if seconds < 59.95:
        return f"{seconds:.1f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    parts = (hours, "h", f"{minutes_left:02d}", "min") if hours else (minutes, "min", f"{rest:02d}", "s")
    return SPACE.join(map(str, parts))
