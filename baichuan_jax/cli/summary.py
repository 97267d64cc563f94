"""What a finished stage tells its user, in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from baichuan_jax.data.quality.model import unscored_of
from baichuan_jax.lab.numbers import percent

console = Console(highlight=False)


def show(name: str, result: dict, skipped: bool) -> None:
    """Print the summary of a stage, or one line if it had been done before."""
    if skipped:
        console.print(f"[green]✓[/] {name}: done before, skipped", soft_wrap=True)
        return
    console.print(f"[green]✓[/] {name}: {SUMMARIES[name](result)} ({result['seconds']:.1f} s)", soft_wrap=True)
    if name in TABLES:
        console.print(TABLES[name](result))


def show_tasks(result: dict) -> None:
    """Print what was reached in a task: in all, and by category."""
    from baichuan_jax.lab.tasks import HEAD, cells, title  # brings matplotlib in

    rows = [row for row in result["rows"] if row["kind"] != "subject"] if len(result["rows"]) > 9 else result["rows"]
    table = Table(*HEAD, title=title(result), title_justify="left")
    for row in rows:
        table.add_row(*cells(row))
    console.print(table)


def _data(result: dict) -> str:
    domains = result["domains"].values()
    documents, size = (sum(domain[key] for domain in domains) for key in ("documents", "bytes"))
    pruned = Counter()
    for funnel in result["funnel"].values():
        pruned.update({reason: entry["documents"] for reason, entry in funnel["pruned"].items()})
    places = pruned.pop("contaminated", 0)
    said = f"; {pruned.total():,} sentences taken out of documents" if pruned.total() else ""
    said += f"; test questions cut out in {places:,} places" if places else ""
    left_out = [name for name, domain in result["domains"].items() if not domain["documents"]]
    said += f"; too little is left of {', '.join(left_out)}, which the dataset is without" if left_out else ""
    said += _unscored(result)
    return f"{documents:,} documents, {size / 1e6:.1f} MB in {len(domains) - len(left_out)} domains{said}"


def _unscored(result: dict) -> str:
    """Return which languages have no quality model, if any was to be trained."""
    without = unscored_of(result) if result["quality"] else {}
    return "; no quality score: " + ", ".join(f"{name} ({why})" for name, why in without.items()) if without else ""


def _tokenizer(result: dict) -> str:
    rates = ", ".join(f"{name} {c['bytes_per_token']:.2f}" for name, c in result["compression"].items())
    return f"{result['vocab']:,} ids; bytes per token held out: {rates}"


def _tokens(result: dict) -> str:
    return f"{result['tokens']:,} tokens, {result['tokens_per_second'] / 1e6:.2f} M/s"


def _train(result: dict) -> str:
    if result["steps"] == 0:
        return f"{result['parameters']:,} parameters, as they were"
    return (
        f"{result['parameters']:,} parameters, {result['tokens']:,} tokens, loss {result['loss']:.4f}, "
        f"{result['tokens_per_second']:,.0f} tokens/s, MFU {result['mfu_full']:.1%} (attention in full) "
        f"{result['mfu_causal']:.1%} (causal half), HFU {result['hfu']:.1%}"
    )


def _evaluate_table(result: dict) -> Table:
    table = Table("domain", "model", "unigram", "zstd -19", title="held-out bits per byte", title_justify="left")
    for domain, row in result["domains"].items():
        table.add_row(domain, *(f"{row[key]:.3f}" for key in ("bits_per_byte", "unigram", "zstd")))
    return table


def _data_table(result: dict) -> Table:
    table = Table("domain", "read", "kept", "of the text", "most often removed for", title_justify="left")
    for domain, funnel in result["funnel"].items():
        reasons = sorted(funnel["removed"].items(), key=lambda item: -item[1]["documents"])[:3]
        table.add_row(
            domain,
            f"{funnel['read']['documents']:,}",
            f"{funnel['kept']['documents']:,}",
            percent(funnel["kept"]["bytes"], funnel["read"]["bytes"], 0),
            ", ".join(f"{reason} {count['documents']:,}" for reason, count in reasons),
        )
    return table


SUMMARIES: dict[str, Callable[[dict], str]] = {
    "data": _data,
    "tokenizer": _tokenizer,
    "tokens": _tokens,
    "train": _train,
    "evaluate": lambda result: f"{sum(row['bytes'] for row in result['domains'].values()):,} bytes of held-out text",
    "generate": lambda result: f"{len(result['samples'])} samples",
    "report": lambda result: result["page"],
}
TABLES: dict[str, Callable[[dict], Table]] = {"data": _data_table, "evaluate": _evaluate_table}
