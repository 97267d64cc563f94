"""The experiment on decontamination reads what it is pointed at."""

import gzip
import json

from experiments.benchmarks.decontamination import clean_texts


def test_the_files_of_a_directory_are_read(tmp_path):
    lines = "".join(json.dumps({"text": text}) + "\n" for text in ("one page", "another page"))
    with gzip.open(tmp_path / "pages.en.jsonl.gz", "wt") as file:
        file.write(lines)
    assert next(clean_texts([tmp_path])) == ("pages.en", ["one page", "another page"])
