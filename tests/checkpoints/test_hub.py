"""Models of the Hugging Face Hub, by a stand-in for it on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.hub import MOST_BYTES, Repository, push, without_front_matter
from ddpm_core.commands.sample import main as sample
from ddpm_core.diffusion.samplers import last
from ddpm_core.errors import UserError
from ddpm_core.images.files import read_parameters
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from tests.command_lines import Outcome, assert_refused
from tests.hub import Files, Hub, files_of, serving

TOKEN = "hf_stand_in"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The stand-in, in place of the Hub, and a cache of its own."""
    with serving() as hub:
        point_at(monkeypatch, hub.address)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield hub


def point_at(monkeypatch: pytest.MonkeyPatch, address: str, offline: bool = False) -> None:
    """What HF_ENDPOINT and HF_HUB_OFFLINE do, which are read once."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)


@pytest.fixture
def tiny(tiny_checkpoint: Path) -> Files:
    """The tiny checkpoint's files, a card with what the Hub reads, and what nobody should fetch."""
    rest = ("pytorch_model.bin", "training/state.safetensors", "a/b/deep.json", ".hidden.json", "run.py")
    return {**files_of(tiny_checkpoint), "README.md": b"---\nlicense: mit\n---\n# tiny\n", **dict.fromkeys(rest, b"no")}


def pictures(model: LatentDiffusion) -> torch.Tensor:
    return last(model.generate(GenerateRequest(seed=3, steps=2))).latent


def test_what_names_a_model_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own" / "there").mkdir(parents=True)
    assert Repository.of("someone/tiny") == Repository("someone/tiny")
    assert Repository.of(Path("some.one/tiny_1@refs/pr/2")) == Repository("some.one/tiny_1", "refs/pr/2")
    assert Repository.of("someone/tiny", "v1") == Repository("someone/tiny", "v1")
    assert Repository.of(Path("hf://own/there2")) == Repository("own/there2")
    folders = ("tiny", "../a/b", "a/b/c", "/a/b", "a/../b", "a/b@", "own/there", "own/misspelt", "a/b c", "")
    assert [name for name in folders if Repository.of(name)] == []


def test_it_is_fetched_once_and_only_what_it_is_read_from(hub: Hub, tiny: Files, tiny_model: LatentDiffusion) -> None:
    hub.put("someone/tiny", tiny)
    model = LatentDiffusion.load(Path("someone/tiny"), "cpu")
    assert (model.name, model.stem) == ("someone/tiny", "someone--tiny")
    assert torch.equal(pictures(model), pictures(tiny_model))
    assert hub.fetched() == {"README.md", "config.json", "vae.safetensors", "denoiser.safetensors"}
    hub.asked.clear()
    LatentDiffusion.load("someone/tiny", "cpu")
    assert hub.fetched() == set()


def test_a_revision_is_pinned(hub: Hub, tiny: Files) -> None:
    first = hub.put("someone/tiny", tiny, "v1")
    hub.put("someone/tiny", tiny | {"README.md": b"# newer\n"})
    for pinned in ("v1", first):
        model = LatentDiffusion.load(f"someone/tiny@{pinned}", "cpu")
        assert model.folder is not None
        assert model.folder.name == first
        assert model.name == f"someone/tiny@{pinned}"
    newest = LatentDiffusion.from_pretrained("someone/tiny", device="cpu").folder
    assert newest is not None
    assert (newest / "README.md").read_text() == "# newer\n"
    with pytest.raises(CheckpointError, match=r"^someone/tiny has no revision 'v9'; name a branch, a tag or a commit"):
        LatentDiffusion.from_pretrained("someone/tiny", revision="v9")


def test_without_the_network_the_cache_is_used(hub: Hub, tiny: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put("someone/tiny", tiny)
    fetched = LatentDiffusion.from_pretrained("someone/tiny", device="cpu")
    hub.asked.clear()
    assert LatentDiffusion.from_pretrained("someone/tiny", local_files_only=True).folder == fetched.folder
    point_at(monkeypatch, hub.address, offline=True)
    assert LatentDiffusion.load("someone/tiny", "cpu").folder == fetched.folder
    with pytest.raises(CheckpointError, match=r"other/one is no folder here and not in the Hub's cache"):
        LatentDiffusion.load("other/one", "cpu")
    assert hub.asked == []
    point_at(monkeypatch, "http://127.0.0.1:9")  # where nobody listens
    assert LatentDiffusion.load("someone/tiny", "cpu").folder == fetched.folder
    with pytest.raises(CheckpointError, match=r"^other/one could not be fetched \(.+\); check the network, or name a"):
        LatentDiffusion.load("other/one", "cpu")


def test_what_cannot_be_used_is_refused_before_anything_is_fetched(hub: Hub, tiny: Files) -> None:
    hub.put("someone/words", {"tokenizer.json": b"{}", "model.safetensors": b"12"})
    hub.put("someone/pickled", {"config.json": b"{}", "pytorch_model.bin": b"12"})
    hub.put("someone/large", tiny)
    hub.pretended["denoiser.safetensors"] = MOST_BYTES
    expected = {
        "someone/nosuch": r"^someone/nosuch is no folder here, and the Hub has no such model or keeps it private; ",
        "someone/words": r"^someone/words on the Hub is no checkpoint: it has neither config.json nor model_index.json",
        "someone/pickled": r"^someone/pickled has no weights as safetensors, and pickles are never opened; ",
        "someone/large": r"^someone/large has 4.0 GiB of weights, and 4 are fetched at most; ",
    }
    for name, sentence in expected.items():
        with pytest.raises(CheckpointError, match=sentence):
            LatentDiffusion.load(name, "cpu")
    assert hub.fetched() == set()


def test_a_folder_that_is_there_wins(hub: Hub, own_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own_checkpoint.parents[1])
    assert LatentDiffusion.from_pretrained("checkpoints/own", revision="main", device="cpu").name == "own"
    with pytest.raises(CheckpointError, match=r"config\.json is missing; checkpoints/nosuch is not a checkpoint"):
        LatentDiffusion.load("checkpoints/nosuch", "cpu")
    assert hub.asked == []


def test_what_was_saved_is_the_same_model(tiny_model: LatentDiffusion, tmp_path: Path) -> None:
    assert tiny_model.save_pretrained(tmp_path / "saved") is None
    again = LatentDiffusion.from_pretrained(tmp_path / "saved", device="cpu")
    assert torch.equal(pictures(again), pictures(tiny_model))
    assert again.folder is not None
    again.save_pretrained(again.folder)  # onto itself
    assert files_of(again.folder) == files_of(tmp_path / "saved")
    parts = LatentDiffusion(tiny_model.codec, tiny_model.denoiser, tiny_model.diffuser, tiny_model.size)
    with pytest.raises(UserError, match="put together from parts"):
        parts.save_pretrained(tmp_path / "other")


def test_what_was_pushed_is_fetched_again(hub: Hub, own_checkpoint: Path, tmp_path: Path) -> None:
    (own_checkpoint / "training").mkdir()
    (own_checkpoint / "training" / "state.safetensors").write_bytes(b"large")
    model = LatentDiffusion.load(own_checkpoint, "cpu")
    address = model.push_to_hub("someone/own", token=TOKEN, commit_message="As trained")
    assert address.startswith(f"{hub.address}/someone/own/commit/")
    assert hub.commits[0]["summary"] == "As trained"
    again = LatentDiffusion.from_pretrained("someone/own", device="cpu")
    assert torch.equal(pictures(again), pictures(model))
    _, files = hub.models["someone/own"]["main"]
    assert set(files) == {"README.md", "config.json", "vae.safetensors", "denoiser.safetensors"}
    card = files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: ddpm-core\n")
    assert without_front_matter(card) == "# own\n"
    saved = model.save_pretrained(tmp_path / "named", push_to_hub=True, token=TOKEN)
    assert saved is not None
    assert "someone/named" in hub.models
    with pytest.raises(UserError, match=r"^someone/own was not taken by the Hub \(.*401"):
        push(own_checkpoint, "someone/own", token="hf_wrong")


def test_a_card_keeps_what_it_tells_the_hub(hub: Hub, own_checkpoint: Path) -> None:
    card = "---\nlicense: cc-by-4.0\n---\n\n# own\n\n---\n"
    (own_checkpoint / "README.md").write_text(card)
    push(own_checkpoint, "own", token=TOKEN)
    assert hub.models["someone/own"]["main"][1]["README.md"].decode() == card
    assert without_front_matter(card) == "# own\n\n---\n"


def test_a_command_takes_one_or_says_what_is_wrong(
    hub: Hub, tiny: Files, tmp_path: Path, call: Callable[..., Outcome]
) -> None:
    hub.put("someone/tiny", tiny, "v1")
    done = call(sample, "--checkpoint", "someone/tiny@v1", "--out", tmp_path, "--steps", 1)
    assert done.status == 0, done.err
    assert read_parameters(tmp_path / "0.png")["checkpoint"] == "someone/tiny@v1"
    assert_refused(call(sample, "--checkpoint", "someone/nosuch", "--out", tmp_path), "the Hub has no such model")
