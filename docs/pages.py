"""The pages of the documentation's site, for `mkdocs build`: a hook that puts them in where they lie in the repository.

So every relative link between them is one that MkDocs follows and checks. What belongs where:

- tutorial: from nothing to a first model, which are chapters of the README;
- how-to: one page a task;
- explanation: why it is as it is, and what was measured;
- reference: a page a module of `ddpm_core`, made from docstrings; links to a module lead there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL, LESSONS = "tutorial.md", ("Start", "Train your own")
EXPLANATION = ("measurements", "speed")  # of docs/*.md; all others say how to
CARDS = sorted(path.parent.name for path in ROOT.glob("checkpoints/*/README.md"))
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> Any:
    """The order in which pages are found."""
    docs = [path.stem for path in sorted((ROOT / "docs").glob("*.md"))]
    config.nav = [
        {"Home": "README.md"},
        {"Tutorial": TUTORIAL},
        {"How-to": [f"docs/{name}.md" for name in docs if name not in EXPLANATION]},
        {"Explanation": ["CONTRIBUTING.md", *(f"docs/{name}.md" for name in EXPLANATION), *_cards(), "CHANGELOG.md"]},
        {"Reference": _nested(modules())},
    ]
    return config


def on_files(files: Files, config: Any) -> Files:
    """All pages, and every file that one of them links to."""
    pages = {uri: (ROOT / uri).read_text(encoding="utf-8") for uri in _written()}
    pages[TUTORIAL] = "# From nothing to a first model\n\n" + chapters(pages["README.md"], LESSONS)
    for uri, text in pages.items():
        files.append(File.generated(config, uri, content=for_the_site(text, uri)))
    for module in modules():
        files.append(File.generated(config, page_of(module), content=f"# {module}\n\n::: {module}\n"))
    linked = {target for uri, text in pages.items() for target in links(for_the_site(text, uri), uri)}
    for target in sorted(linked - {file.src_uri for file in files}):
        if (ROOT / target).is_file():
            files.append(File.generated(config, target, abs_src_path=str(ROOT / target)))
    return files


def modules() -> list[str]:
    """Every module of the package, a package before those in it."""
    found = []
    for path in sorted((ROOT / "ddpm_core").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return sorted(found)


def page_of(module: str) -> str:
    """Where the reference of a module is; a package's is the first of its folder."""
    path = "reference/" + module.replace(".", "/")
    return path + ("/index.md" if (ROOT / module.replace(".", "/")).is_dir() else ".md")


def chapters(text: str, names: tuple[str, ...]) -> str:
    """Some chapters of a page, in its order."""
    return "".join(re.findall(rf"^## (?:{'|'.join(names)})$.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))


def for_the_site(text: str, uri: str) -> str:
    """A page whose links to modules of the package lead to their reference; what stands in code is left alone."""

    def lead(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(uri), found[2]))
        name = re.sub(r"(/__init__)?\.py$", "", target).replace("/", ".")
        if not target.startswith("ddpm_core/") or name not in modules():
            return found[0]
        return found[1] + posixpath.relpath(page_of(name), posixpath.dirname(uri) or ".") + found[3]

    parts = CODE.split(text)
    return "".join(part if number % 2 else LINK.sub(lead, part) for number, part in enumerate(parts))


def links(text: str, uri: str) -> Iterator[str]:
    """The files of the repository that a page links to."""
    for found in LINK.finditer(text):
        if "://" not in found[2]:
            yield posixpath.normpath(posixpath.join(posixpath.dirname(uri), found[2]))


def _written() -> list[str]:
    docs = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))]
    return ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *docs, *_cards()]


def _cards() -> list[str]:
    return [f"checkpoints/{name}/README.md" for name in CARDS]


def _nested(names: list[str]) -> list[Any]:
    """Pages of modules below those of their packages."""
    tree: dict[str, Any] = {}
    for name in names:
        branch = tree
        for part in name.split("."):
            branch = branch.setdefault(part, {})

    def entries(branch: dict[str, Any], above: str) -> list[Any]:
        found: list[Any] = []
        for part, below in branch.items():
            name = f"{above}{part}"
            page = page_of(name)
            found.append({part: [page, *entries(below, f"{name}.")]} if page.endswith("index.md") else {part: page})
        return found

    return entries(tree, "")
