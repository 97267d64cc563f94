"""The page: one self-contained file, one column on a phone, light or dark as the system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from baichuan_jax.lab.markup import Html, escape, join, tag
from baichuan_jax.lab.plots import Plot, render

CSS = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --paper: #fff; --line: #d8dee4; --box: #f6f8fa;
  --mark: #dcecf9; --link: #0058a3;
  --chinese: "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei";
  --prose: system-ui, var(--chinese), sans-serif;
  --code: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace, var(--chinese) }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #9da5ae; --paper: #15181c; --line: #343a41; --box: #1d2126; --mark: #183a56;
    --link: #7dbcf0 }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 var(--prose); -webkit-text-size-adjust: 100% }
h1 { margin: 0; font-size: 1.7rem; line-height: 1.2; overflow-wrap: anywhere }
h2 { margin: 3rem 0 .75rem; padding-top: .5rem; border-top: 1px solid var(--line); font-size: 1.25rem }
.summary { max-width: 44rem; font-size: 1.1rem }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .9rem }
nav a { padding: .2rem 0; color: var(--link) }
.plots { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.5rem 2rem; align-items: start }
figure { margin: 0; min-width: 0; max-width: 32rem }
figure svg { display: block; width: 100%; height: auto }
figure svg text { font-family: inherit !important }
figure svg.wide { display: none }
@media (min-width: 46rem) {
  .plots { grid-template-columns: repeat(2, minmax(0, 1fr)) }
  figure.wide { grid-column: 1 / -1; max-width: none }
  figure.wide svg { display: none }
  figure.wide svg.wide { display: block }
}
figcaption, caption, .note { color: var(--soft); font-size: .875rem; text-align: left }
.note { max-width: 44rem }
.scroll { margin: 1rem 0; overflow-x: auto;  /* a shade at the right edge until the table is scrolled to its end */
  background: linear-gradient(var(--paper), var(--paper)) right / 1.5rem 100% no-repeat local,
    linear-gradient(to left, var(--line), transparent) right / 1rem 100% no-repeat }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
caption { padding-bottom: .25rem }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }
th { font-weight: 600 }
th:first-child { padding-left: 0; text-align: left }
tbody th { min-width: 7rem; font-weight: 400; white-space: normal }
tbody th, td { vertical-align: top }
td.long { min-width: 9rem; white-space: normal; overflow-wrap: anywhere; text-align: left }
details { margin: .5rem 0 }
details details { margin-left: 1rem }
summary { padding: .25rem 0; cursor: pointer; overflow-wrap: anywhere }
.text, pre { margin: .75rem 0; padding: .75rem 1rem; border: 1px solid var(--line); border-radius: .4rem;
  background: var(--box); white-space: pre-wrap; overflow-wrap: anywhere }
.text { max-height: 26rem; overflow-y: auto }  /* a model may write nothing but blank lines */
pre, .code { font: .8rem/1.5 var(--code) }
cite { display: block; color: var(--soft); font: .8rem/1.5 var(--prose) }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 0 1rem }
.bars { display: block; width: 100%; height: 4rem; color: var(--link) }
mark { border-radius: .2rem; background: var(--mark); color: inherit; font-weight: 600 }
"""


class Canvas:
    """Draw plots for a page and remember the PNG files it has written in `directory`."""

    def __init__(self, directory: Path):
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.files: list[Path] = []

    def figures(self, *plots: Plot, notes: Mapping[str, str] | None = None) -> Html:
        """Return the plots, two beside each other if the page is wide enough; the last of an odd number is as wide.

        notes: {plot name: caption}.
        """
        lone = plots[-1] if len(plots) % 2 else None
        drawn = (self._figure(plot, (notes or {}).get(plot.name), plot is lone) for plot in plots)
        return tag("div", *drawn, class_="plots")

    def _figure(self, plot: Plot, note: str | None, wide: bool) -> Html:
        svg, path = render(plot, self._directory, wide)
        self.files.append(path)
        attributes = {"class_": "wide"} if wide else {}
        return tag("figure", svg, tag("figcaption", note) if note else "", **attributes)


def page(title: str, summary: Html, sections: Sequence[tuple[str, Html]]) -> str:
    """Return the document. sections: (heading, content)."""
    links = tag("nav", *(tag("a", heading, href=f"#{anchor(heading)}") for heading, _ in sections))
    head = join(
        (
            Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
            tag("title", title),
            tag("style", Html(CSS)),
        )
    )
    header = tag("header", tag("h1", title), tag("p", summary, class_="summary"), links)
    parts = (tag("section", tag("h2", heading), content, id=anchor(heading)) for heading, content in sections)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{header}{tag("main", *parts)}</body></html>\n'


def anchor(heading: str) -> Html:
    """Return the id of a section."""
    return escape(heading.lower().replace(" ", "-"))
