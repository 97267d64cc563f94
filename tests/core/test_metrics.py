from baichuan_jax.core.metrics import Metrics, read_metrics
from tests.disk import files_of_at_most


def test_records_read_back_and_reach_tensorboard(tmp_path):
    with Metrics(tmp_path) as metrics:
        metrics.write({"step": 1, "loss": 2.5})
        metrics.write({"step": 2, "validation": {"zh": 1.5, "en": 1.25}})
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 2.5}, {"step": 2, "validation": {"zh": 1.5, "en": 1.25}}]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert sorted(board.Tags()["scalars"]) == ["loss", "validation/en", "validation/zh"]
    assert [(event.step, event.value) for event in board.Scalars("validation/en")] == [(2, 1.25)]


def test_resuming_drops_records_that_will_be_made_again(tmp_path):
    with Metrics(tmp_path) as metrics:
        for step in (1, 2, 3):
            metrics.write({"step": step, "loss": float(step)})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # killed while writing
    with Metrics(tmp_path, from_step=2) as metrics:
        metrics.write({"step": 3, "loss": 30.0})
    assert [record["loss"] for record in read_metrics(tmp_path)] == [1.0, 2.0, 30.0]


def test_starting_over_starts_empty(tmp_path):
    with Metrics(tmp_path) as metrics:
        metrics.write({"step": 0, "loss": 1.0})
    with Metrics(tmp_path):
        assert read_metrics(tmp_path) == []


def test_records_wait_for_room(tmp_path):
    """Nothing is lost or written twice, and no event in part."""
    record = lambda step: {"step": step, "loss": float(step)}
    with Metrics(tmp_path) as metrics:
        for step in range(1, 10):
            metrics.write(record(step))
        with files_of_at_most(333):
            for step in range(10, 150):
                metrics.write(record(step))
            assert 9 <= len(read_metrics(tmp_path)) < 20
        metrics.write(record(150))
        assert read_metrics(tmp_path)[-1] == record(150)
        for step in range(151, 200):
            metrics.write(record(step))
    assert [record["step"] for record in read_metrics(tmp_path)] == list(range(1, 200))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    steps = [event.step for event in EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("loss")]
    assert {*range(1, 6), *range(150, 200)} <= set(steps)
    assert len(steps) == len(set(steps))
