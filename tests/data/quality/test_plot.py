"""The picture of a report is drawn, with or without models."""

import matplotlib.image
import pytest

from baichuan_jax.data.quality.plot import plot

BINS = [
    {"low": 0.0, "high": 0.1, "mean_score": 0.04, "share_good": 0.05, "count": 900},
    {"low": 0.9, "high": 1.0, "mean_score": 0.97, "share_good": 1.0, "count": 3},
]
ENTRY = {"auc": 0.987, "auc_equal_length": 0.95, "calibration": BINS}


@pytest.mark.parametrize(
    ("report", "languages"),
    [({}, 1), ({"zh": ENTRY}, 1), ({"zh": ENTRY, "en": ENTRY, "other": {"good": 3, "bad": 2}}, 2)],
)
def test_a_column_for_each_model(report, languages, tmp_path):
    plot(report, tmp_path / "quality.png")
    assert [path.name for path in tmp_path.iterdir()] == ["quality.png"]
    picture = matplotlib.image.imread(tmp_path / "quality.png")
    assert picture.shape[1] == pytest.approx(540 * languages, abs=2)
    assert (picture[..., 2] - picture[..., 0] > 0.5).any() == bool(report)  # something is drawn in blue


def test_what_is_drawn_depends_on_the_report(tmp_path):
    for name, share in (("a", 0.05), ("b", 0.5)):
        plot({"zh": ENTRY | {"calibration": [BINS[0] | {"share_good": share}, BINS[1]]}}, tmp_path / name)
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()
