"""A hook of MkDocs: links from docs/ to files outside of it lead to the repository, where its address is known.

REPOSITORY names it (``https://…``, as GitHub Actions knows it); without it the file's name stands there as text. Links are
written for a reader of the checkout, and tests/test_docs.py holds that their files are there.
"""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_OUTSIDE = re.compile(r"(!?)\[([^]]*)\]\(((?:\.\./)+[^)#]*|cluster/[^)#]*)(#[^)]*)?\)")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """MkDocs calls this with each page's text."""
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def outward(match: re.Match[str]) -> str:
        target = (folder / match[3]).resolve().relative_to(ROOT)
        if target == Path("README.md"):
            return f"[{match[2]}](index.md)"
        return f"[{match[2]}]({config['repo_url']}/blob/main/{target})" if config["repo_url"] else match[2]

    return _OUTSIDE.sub(outward, markdown)
