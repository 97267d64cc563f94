"""The revision of this code, with what has been changed since: part of the record of whatever it makes."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

from baichuan_jax.core.files import digest

PACKAGE = Path(__file__).resolve().parents[1]


class Revision(NamedTuple):
    """commit: of git, "" where the code is installed from elsewhere. changes: since, as a diff; "" without any."""

    commit: str
    changes: str

    def record(self) -> dict[str, str]:
        """Return the commit, and a digest of the changes."""
        return {"commit": self.commit, "changes": digest(self.changes) if self.changes else ""}


@cache
def code_revision(folder: Path = PACKAGE) -> Revision:
    """Return the revision of the code in a folder, as it was when this process first asked."""
    # A package that is installed into an environment inside some other repository is none of its files.
    if not git(folder, "ls-files", "."):
        return Revision("", "")
    new = git(folder, "ls-files", "--others", "--exclude-standard", ".").splitlines()
    changes = git(folder, "diff", "HEAD", "--", ".") + "".join(f"new file: {name}\n" for name in new)
    return Revision(git(folder, "rev-parse", "HEAD").strip(), changes)


@cache
def source_digest(folder: Path = PACKAGE) -> str:
    """Return a digest of the Python files in a folder, wherever they were installed from."""
    return digest(
        "".join(
            f"{path.relative_to(folder)}\n{path.read_text(encoding='utf-8')}" for path in sorted(folder.rglob("*.py"))
        )
    )


def git(folder: Path, *arguments: str) -> str:
    """Return what git answers in a folder; "" where there is no git, or no repository."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.decode("utf-8", "replace")
