"""Copies of files of the repository as pages of the documentation: the changelog and the benchmarks."""

import re
import shutil
from functools import partial
from pathlib import Path

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
PAGES = DOCS / "repository"

# A link or an image whose address is a path: [text](path) or ![text](path).
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|mailto:|#)([^)\s]+)\)")


def copy_pages(app):
    """Copy the changelog and the benchmarks' pages, with the images in them, to docs/repository."""
    shutil.rmtree(PAGES, ignore_errors=True)
    pages = [ROOT / "CHANGELOG.md", *sorted((ROOT / "benchmarks").glob("**/*.md"))]
    for page in pages:
        target = PAGES / page.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_LINK.sub(partial(_relink, page=page, pages=pages), page.read_text()))
    first = ROOT / "benchmarks" / "README.md"
    others = [page for page in pages if first.parent in page.parents and page != first]
    names = [str(page.relative_to(ROOT).with_suffix("")) for page in (first, *others)]
    index = ["```{toctree}", ":maxdepth: 2", "", *names, "```"]
    (PAGES / "benchmarks.md").write_text("# Benchmarks\n\n" + "\n".join(index) + "\n")


def _relink(match, page, pages):
    """Keep a link to a copied page or to an image; reduce a link to any other file to its text."""
    bang, text, address = match.groups()
    file = (page.parent / address.partition("#")[0]).resolve()
    if bang and file.is_file():
        target = PAGES / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        return match[0]
    return match[0] if file in pages else text


def setup(app):
    """Connect to the start of a build."""
    app.connect("builder-inited", copy_pages)
    return {"parallel_read_safe": True}
