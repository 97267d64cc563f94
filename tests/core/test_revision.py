"""The revision of code: commit, changes, and none where the code is in no repository."""

import shutil
import subprocess

import pytest

from baichuan_jax.core.revision import Revision, code_revision


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_commit_changes_and_new_files(tmp_path):
    folder = tmp_path / "repository" / "package"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text("one = 1\n")

    def git(*arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", "-C", str(folder), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    assert code_revision.__wrapped__(folder) == Revision("", ""), "none of its files is in the repository around it"
    git("add", ".")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD").strip()
    assert code_revision.__wrapped__(folder) == Revision(commit, "")
    assert Revision(commit, "").record() == {"commit": commit, "changes": ""}
    (folder / "a.py").write_text("one = 2\n")
    (folder / "b.py").touch()
    revision = code_revision.__wrapped__(folder)
    assert revision.commit == commit
    assert "+one = 2" in revision.changes
    assert "new file: b.py" in revision.changes
    assert len(revision.record()["changes"]) == 16
