import pytest

from baichuan_jax.core.files import atomic_path, fingerprint, read_json, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": "中"})

    def fail():
        with atomic_path(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert read_json(path) == {"x": "中"}
    assert list(tmp_path.iterdir()) == [path]


def test_fingerprint_reads_only_what_may_have_changed(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one")
    first = fingerprint([path])
    assert len(first[str(path)]["sha256"]) == 64
    marked = {str(path): {**first[str(path)], "sha256": "not read again"}}
    assert fingerprint([path], marked) == marked
    path.write_text("three")
    assert fingerprint([path], marked)[str(path)]["sha256"] not in ("not read again", first[str(path)]["sha256"])
