"""Reads a page as a strict browser."""

from html.parser import HTMLParser

VOID = {"meta", "br", "img", "hr", "link", "input"}


class Checker(HTMLParser):
    """Asserts that every element is closed in order; collects text, tags, ids and links."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.text, self.tags, self.ids, self.links, self.labels = [], [], [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute"
        assert not any(name.startswith("on") for name in names), f"<{tag}> has a handler"
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in {"src", "href", "xlink:href", "data"}]
        self.labels += [value for name, value in attrs if name == "aria-label" and tag == "svg"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
