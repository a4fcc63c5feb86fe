"""What lies in a folder or archive, but for hidden files, systems' own and checkpoints: a model must not learn from its
own samples.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from PIL import Image

from ddpm_core.data import archives
from ddpm_core.images.files import Member, PictureError, Source

PICTURES = {".png", ".apng", ".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".heic", ".heif", ".bmp", ".gif"}
PICTURES |= {".tif", ".tiff"}
SUFFIXES = PICTURES & Image.registered_extensions().keys()  # some builds of Pillow know fewer; HEIC takes pillow-heif

# Of Synology's and QNAP's disks, Windows, Linux, macOS, and, by the end of its folder's name, Lightroom.
SYSTEM = {"@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot"}
SYSTEM |= {"$recycle.bin", "system volume information", "lost+found", "__macosx"}
SYSTEM_ENDS = (".lrdata",)
SYSTEM |= {"thumbs.db", "ehthumbs.db", "desktop.ini"}
RUN_LOGS = {"vae.jsonl", "denoiser.jsonl"}  # what a training run writes first, into `training/`
KINDS = 6  # of files that are named in a line


@dataclass
class Listing:
    """The files of a folder or archive by their paths in it, and counts of the others, by kind."""

    files: dict[PurePosixPath, Source]
    others: Counter[str] = field(default_factory=Counter)

    def of(self, suffixes: Collection[str]) -> list[PurePosixPath]:
        """The files of these kinds, sorted."""
        return sorted(name for name in self.files if name.suffix.lower() in suffixes)

    def content(self, name: PurePosixPath) -> bytes:
        """Bytes of a file. Raises `PictureError` if it cannot be read."""
        file = self.files[name]
        return file.read() if isinstance(file, Member) else read_file(Path(str(file)))

    def unused(self, used: Iterable[PurePosixPath]) -> str:
        """How many there are besides those used, by suffix: "30 .heic, 1 .txt"."""
        kinds = Counter(_kind(name) for name in self.files.keys() - set(used)) + self.others
        words = [
            f"{count:,} {_plural(kind, count)}" for kind, count in sorted(kinds.items(), key=lambda k: (-k[1], k[0]))
        ]
        rest = sum(sorted(kinds.values(), reverse=True)[KINDS:])
        return ", ".join([*words[:KINDS], f"{rest:,} of other kinds"] if rest else words)


def read_file(path: Path) -> bytes:
    """Bytes of a file on disk. Raises `PictureError` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror or error}.") from None


def of_folder(folder: Path) -> Listing:
    """All files below a folder; linked folders are not followed."""
    files: dict[PurePosixPath, Source] = {}
    others: Counter[str] = Counter()

    def closed(error: OSError) -> None:
        others["folder that cannot be opened"] += 1

    for home, folders, names in os.walk(folder, onerror=closed):  # follows no links to folders, so it ends
        folders[:] = [name for name in folders if is_shown([name])]
        others["linked folder"] += sum(os.path.islink(os.path.join(home, name)) for name in folders)
        inside = PurePosixPath(Path(home).relative_to(folder).as_posix())
        for name in names:
            if not is_shown([name]):
                continue
            if (path := Path(home, name)).is_file():
                files[inside / name] = path
            else:
                others["link to nothing"] += 1
    return _without_checkpoints(files, others)


def of_archive(path: Path) -> Listing:
    """All files in an archive. Raises `PictureError` if it is damaged."""
    members, links = archives.members(path, needed=SUFFIXES | {".csv", ".jsonl"})
    files: dict[PurePosixPath, Source] = {}
    for name, member in members.items():
        if is_shown(PurePosixPath(name).parts):
            files[PurePosixPath(name)] = member
    return _without_checkpoints(files, Counter({"link": links}))


def is_shown(components: Iterable[str]) -> bool:
    """Whether nothing on a path is hidden or a system's own."""
    for component in components:
        name = component.casefold()
        if name.startswith(".") or name in SYSTEM or name.endswith(SYSTEM_ENDS):
            return False
    return True


def _without_checkpoints(files: dict[PurePosixPath, Source], others: Counter[str]) -> Listing:
    top, found = PurePosixPath(), _checkpoints(files)
    own = {top / "training", top / "samples.png"} if top in found else set()  # pictures beside them may be the data
    left_out = (found - {top}) | own
    shown = (
        {name: file for name, file in files.items() if left_out.isdisjoint((name, *name.parents))}
        if left_out
        else files
    )
    others["checkpoint folder"] += sum(left_out.isdisjoint(folder.parents) for folder in found)
    return Listing(shown, +others)


def _checkpoints(names: Iterable[PurePosixPath]) -> set[PurePosixPath]:
    """The folders that training wrote, or is about to, and those of pretrained models."""
    inside: dict[PurePosixPath, set[str]] = {}
    for name in names:
        inside.setdefault(name.parent, set()).add(name.name)
    found = set()
    for folder, files in inside.items():
        if "model_index.json" in files or ("config.json" in files and any(f.endswith(".safetensors") for f in files)):
            found.add(folder)
        if folder.name == "training" and files & RUN_LOGS:
            found.add(folder.parent)
    return found


def _kind(name: PurePosixPath) -> str:
    suffix = name.suffix.lower()
    return suffix if 1 < len(suffix) <= 12 and suffix.isprintable() and " " not in suffix else "file without a suffix"


def _plural(kind: str, count: int) -> str:
    return re.sub(r"folder|link\b|file", r"\g<0>s", kind, count=1) if count > 1 and not kind.startswith(".") else kind
