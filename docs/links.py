"""A hook of mkdocs: links from the pages to other files of the repository lead to its address."""

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent


def on_page_markdown(markdown: str, config: Any, **_: Any) -> str:
    """Return a page whose links out of docs/ name the repository. Raise FileNotFoundError on one to no file."""

    def absolute(link: re.Match[str]) -> str:
        path = (DOCS / link[1]).resolve(strict=True).relative_to(DOCS.parent)
        return f"]({config['repo_url'].rstrip('/')}/blob/main/{path.as_posix()})"

    return re.sub(r"\]\((\.\./[^)#]+)\)", absolute, markdown)
