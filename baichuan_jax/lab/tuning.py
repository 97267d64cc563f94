"""The section on tuning: the loss on held-out responses, and the numbers of the end."""

from __future__ import annotations

from baichuan_jax.lab.markup import Html, table
from baichuan_jax.lab.numbers import duration, short
from baichuan_jax.lab.outcome import validation_plot
from baichuan_jax.lab.page import Canvas
from baichuan_jax.lab.plots import Plot
from baichuan_jax.lab.run_files import RunRecord

UNIT = "nats per response token"


def tuning(run: RunRecord, canvas: Canvas) -> list[Html]:
    """Return the curve of the loss on held-out responses, a row for each source, and what was tuned."""
    result = run.results["tune"]
    before, after = result["held_out_before"], result["held_out"]
    rows = [
        [source, f"{before[source]:.4f}", f"{loss:.4f}", f"{loss / before[source] - 1:+.1%}"]
        for source, loss in after.items()
    ]
    share = "all of them" if result["parameters"] == result["base_parameters"] else "in adapters"
    tuned = [["parameters tuned", f"{short(result['parameters'])} ({share})"]]
    if not result["steps"]:  # the model has an adapter that was made elsewhere
        return [table("Summary of tuning", ["quantity", "value"], tuned)]
    facts = [
        *tuned,
        ["conversations", f"{result['conversations']:,}"],
        ["steps", f"{result['steps']:,}"],
        ["loss of the last step, nats per response token", f"{result['loss']:.4f}"],
        ["tokens per second, padding too", f"{result['tokens_per_second']:,.0f}"],
        ["time", duration(result["seconds"])],
    ]
    caption = f"Loss on held-out responses, {UNIT}"
    held_out = [table(caption, ["source", "before", "after", "change"], rows)] if rows else []
    return [canvas.figures(*_plots(run)), *held_out, table("Summary of tuning", ["quantity", "value"], facts)]


def _plots(run: RunRecord) -> list[Plot]:
    records = [record for record in run.tuning if "validation" in record]
    if not records:
        return []
    per_step = run.number("TuneConfig.batch") * run.number("TuneConfig.length")
    alt = "Loss on held-out responses of every source against steps of tuning"
    return [validation_plot("tuning", "Held-out responses during tuning", alt, records, UNIT, per_step)]
