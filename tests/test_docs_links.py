"""The hook that makes pages of a checkout into pages of a site."""

from types import SimpleNamespace

import docs_links
import pytest


@pytest.mark.parametrize(
    ("text", "address", "found"),
    [
        ("see [stages](../ailot_ray/stages.py)", "https://x/y", "see [stages](https://x/y/blob/main/ailot_ray/stages.py)"),
        ("see [stages](../ailot_ray/stages.py#L1)", "", "see stages"),
        ("see [hosts](cluster/hosts.yaml)", "", "see hosts"),
        ("see [method](method.md#reward)", "", "see [method](method.md#reward)"),
        ("Ours:\n- one\n  more\n- two\n\nNext", "", "Ours:\n\n- one\n  more\n- two\n\nNext"),
        ("First:\n1. one\n2. two", "", "First:\n\n1. one\n2. two"),
        ("```\na\n- b\n```", "", "```\na\n- b\n```"),
    ],
)
def test_a_page(text: str, address: str, found: str) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="page.md"))
    assert docs_links.on_page_markdown(text, page, {"repo_url": address}, None) == found
