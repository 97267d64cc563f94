from baichuan_jax.core.metrics import Metrics, read_metrics


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
