"""Models on the Hugging Face Hub, "user/name" or "user/name@revision": fetched into its cache, and put there.

HF_ENDPOINT, HF_HOME, HF_TOKEN and HF_HUB_OFFLINE hold as elsewhere. Only what a checkpoint is read from is fetched,
never a pickle, and at most `MOST_BYTES`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self

from ddpm_core.checkpoints.atomic import CheckpointError, UnwritableError, writing
from ddpm_core.checkpoints.diffusers_format import PIPELINE
from ddpm_core.checkpoints.native import CARD, CONFIG
from ddpm_core.errors import UserError

NAME = re.compile(
    r"(?P<said>hf:/{1,2})?(?P<id>(?P<user>[A-Za-z0-9][\w.-]*)/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?"
)
FETCHED = ["*.json", "*.safetensors", "*.md"]
LEFT = ["*/*/*", "training/*", ".*", "*..*"]  # parts lie one folder deep; what a training run notes is not the model
PICTURES = ["*.png"]  # of the card: sent along, not fetched
MOST_BYTES = 4 * 2**30  # twice the largest UNet2DModel in fp32 that we know of
FRONT_MATTER = re.compile(r"\A---\n.*?^---\n+", re.MULTILINE | re.DOTALL)  # of a card: what the Hub reads of it
METADATA = "---\nlibrary_name: ddpm-core\npipeline_tag: unconditional-image-generation\ntags:\n- diffusion\n---\n\n"


@dataclass(frozen=True)
class Repository:
    """A model on the Hub, at a `revision`: a branch, a tag or a commit, or None for the newest."""

    id: str
    revision: str | None = None

    @classmethod
    def of(cls, checkpoint: str | Path, revision: str | None = None) -> Repository | None:
        """The model that is meant by what was given for a checkpoint; None if a folder is.

        A name that would lie in a folder that is there means one, too, unless it begins with "hf://".
        """
        found = NAME.fullmatch(Path(checkpoint).as_posix())
        if found is None or Path(checkpoint).exists() or (Path(found["user"]).is_dir() and not found["said"]):
            return None
        return cls(found["id"], found["revision"] or revision)

    def __str__(self) -> str:
        return self.id if self.revision is None else f"{self.id}@{self.revision}"

    def fetch(
        self,
        *,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> Path:
        """The folder of the cache that holds the model, fetched if need be; arguments are `huggingface_hub`'s.

        Raises:
            CheckpointError: there is no such model, it is none of ours or too large, or the Hub cannot be reached.
        """
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import DryRunError, HTTPError, LocalEntryNotFoundError

        chosen: dict[str, Any] = {"revision": self.revision, "cache_dir": cache_dir, "token": token}
        chosen |= {"allow_patterns": FETCHED, "ignore_patterns": LEFT}
        reason: BaseException | None = None
        try:
            if not local_files_only:
                try:
                    self._check(snapshot_download(self.id, **chosen, dry_run=True, tqdm_class=_silent()))
                    return Path(snapshot_download(self.id, **chosen, force_download=force_download))
                except DryRunError as error:  # the Hub does not answer, or not with this model: the cache may have it
                    reason = error.__cause__
            return Path(snapshot_download(self.id, **chosen, local_files_only=True))
        except LocalEntryNotFoundError as error:
            raise CheckpointError(self._sentence(reason or error)) from None
        except (OSError, HTTPError) as error:
            raise CheckpointError(self._sentence(error)) from None

    def _check(self, files: Sequence[Any]) -> None:
        """Refuse, before anything is fetched, what cannot be used."""
        names, size = {file.filename for file in files}, sum(file.file_size for file in files)
        if not names & {CONFIG, PIPELINE}:
            raise CheckpointError(
                f"{self} on the Hub is no checkpoint: it has neither {CONFIG} nor {PIPELINE}; name another."
            )
        if not any(name.endswith(".safetensors") for name in names):
            raise CheckpointError(f"{self} has no weights as safetensors, and pickles are never opened; name another.")
        if size > MOST_BYTES:
            raise CheckpointError(
                f"{self} has {size / 2**30:.1f} GiB of weights, and {MOST_BYTES / 2**30:g} are fetched at most; "
                "get it yourself and name its folder."
            )

    def _sentence(self, error: BaseException) -> str:
        """What went wrong, and what to do."""
        from huggingface_hub.errors import (  # fmt: skip
            GatedRepoError,
            LocalEntryNotFoundError,
            OfflineModeIsEnabled,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        if isinstance(error, GatedRepoError):
            return f"{self.id} is given only to those who accepted its terms; do so on its page, then set HF_TOKEN."
        if isinstance(error, RepositoryNotFoundError):
            return (
                f"{self.id} is no folder here, and the Hub has no such model or keeps it private; check the name, "
                "or set HF_TOKEN."
            )
        if isinstance(error, RevisionNotFoundError):
            return f"{self.id} has no revision {self.revision!r}; name a branch, a tag or a commit that its page lists."
        if isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError):
            return (
                f"{self} is no folder here and not in the Hub's cache, and the Hub may not be asked now; unset "
                "HF_HUB_OFFLINE, or name a folder."
            )
        return f"{self} could not be fetched ({_reason(error)}); check the network, or name a folder that is here."


class HubMixin:
    """What users of the Hub's libraries expect of a model, by its names there."""

    name: str
    folder: Path | None = None
    load: ClassVar[Callable[..., Any]]

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        device: str = "auto",
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> Self:
        """Load a folder, or a model of the Hub at a `revision`.

        Raises:
            CheckpointError: it cannot be fetched or used.
            NoSuchDevice: there is no such device.
        """
        repository = Repository.of(pretrained_model_name_or_path, revision)
        if repository is None:
            return cls.load(pretrained_model_name_or_path, device)
        folder = repository.fetch(
            cache_dir=cache_dir, force_download=force_download, local_files_only=local_files_only, token=token
        )
        model = cls.load(folder, device)
        model.name = str(repository)
        return model

    def save_pretrained(
        self, save_directory: str | Path, *, repo_id: str | None = None, push_to_hub: bool = False, **push: Any
    ) -> str | None:
        """Copy the checkpoint it was loaded from into a folder.

        Args:
            push_to_hub: put it on the Hub as well, as `repo_id` or the folder's name, and return the commit's address.

        Raises:
            UserError: it was put together from parts.
            UnwritableError: it cannot be written there.
        """
        save(self._loaded_from(), save_directory)
        return self.push_to_hub(repo_id or Path(save_directory).resolve().name, **push) if push_to_hub else None

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str = "Upload model",
        private: bool | None = None,
        token: str | bool | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
    ) -> str:
        """Put the checkpoint it was loaded from on the Hub, as "user/name" or "name"; returns the commit's address.

        Raises:
            UserError: it was put together from parts, or the Hub does not take it.
        """
        commit = {"commit_message": commit_message, "revision": branch, "create_pr": create_pr}
        return push(self._loaded_from(), repo_id, token, private, **commit)

    def _loaded_from(self) -> Path:
        if self.folder is None:
            raise UserError(
                "this model was put together from parts; write them with ddpm_core.checkpoints.native, then load it."
            )
        return self.folder


def save(checkpoint: Path, folder: str | Path) -> Path:
    """Copy a checkpoint's files into another folder; what a training run noted stays behind.

    Raises:
        UnwritableError: they cannot be written there.
    """
    from huggingface_hub.utils import filter_repo_objects

    target = Path(folder)
    files = [path.relative_to(checkpoint).as_posix() for path in sorted(checkpoint.rglob("*")) if path.is_file()]
    for name in filter_repo_objects(files, allow_patterns=[*FETCHED, *PICTURES], ignore_patterns=LEFT):
        with writing(target / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            if not (target / name).exists() or not (checkpoint / name).samefile(target / name):
                shutil.copyfile(checkpoint / name, target / name)
    return target


def push(
    checkpoint: Path, repo_id: str, token: str | bool | None = None, private: bool | None = None, **commit: Any
) -> str:
    """Put a checkpoint's files on the Hub, in a repository made if there is none; returns the commit's address.

    Args:
        commit: `huggingface_hub.HfApi.upload_folder`'s commit_message, revision, create_pr.

    Raises:
        UserError: the Hub does not take it; the message says why.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError

    api = HfApi(token=token)
    try:
        with TemporaryDirectory(prefix="push-") as folder:
            # The card is told what the Hub wants to know of a model, unless it says something of that kind already.
            card = save(checkpoint, folder) / CARD
            text = card.read_text(encoding="utf-8") if card.is_file() else f"# {repo_id.rpartition('/')[2]}\n"
            card.write_text(text if FRONT_MATTER.match(text) else METADATA + text, encoding="utf-8")
            repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            return str(api.upload_folder(repo_id=repo_id, folder_path=folder, **commit).commit_url)
    except UnwritableError:
        raise
    except (OSError, HTTPError, ValueError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(". ") or type(error).__name__
        raise UserError(
            f"{repo_id} was not taken by the Hub ({reason}); check the name, HF_TOKEN, the network."
        ) from None


def without_front_matter(card: str) -> str:
    """The text of a card for people to read."""
    return FRONT_MATTER.sub("", card)


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(". ") or type(error).__name__


def _silent() -> type:
    from huggingface_hub.utils import tqdm

    class Silent(tqdm):
        def __init__(self, *arguments: Any, **settings: Any):
            super().__init__(*arguments, **settings | {"disable": True})

    return Silent
