"""A hook of MkDocs: pages that are written for a reader of the checkout, made into pages of the site.

Links from docs/ to files outside of it lead to the repository, where the variable REPOSITORY names it (``https://…``, as GitHub
Actions knows it); without it the file's name stands there as text. A list may follow its sentence without an empty line.
"""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_OUTSIDE = re.compile(r"(?<!!)\[([^]]*)\]\(((?:\.\./)+[^)#]*|cluster/[^)#]*)(?:#[^)]*)?\)")
_ITEM = re.compile(r"(?:- |\d+\. )")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """MkDocs calls this with each page's text."""
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def outward(match: re.Match[str]) -> str:
        target = (folder / match[2]).resolve().relative_to(ROOT)
        return f"[{match[1]}]({config['repo_url']}/blob/main/{target})" if config["repo_url"] else match[1]

    return _OUTSIDE.sub(outward, lists_apart(markdown))


def lists_apart(markdown: str) -> str:
    """An empty line before each list, which Python's Markdown wants and GitHub's does not.

    >>> lists_apart("Ours:\\n- one\\n- two")
    'Ours:\\n\\n- one\\n- two'
    """
    lines: list[str] = []
    fenced = listed = False
    for line in markdown.splitlines():
        fenced ^= line.startswith("```")
        item = not fenced and bool(_ITEM.match(line))
        if item and not listed and lines and lines[-1]:
            lines.append("")
        listed = item or (listed and line.startswith(" "))
        lines.append(line)
    return "\n".join(lines)
