"""Feature networks: Inception from a file of weights, and classifiers trained on the spot."""

from __future__ import annotations

import builtins
import json
import pickle
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from ddpm_core.commands import evaluate
from ddpm_core.data.load import PictureSet
from ddpm_core.evaluation import checkpoint as measuring
from ddpm_core.evaluation import classifier as classifiers
from ddpm_core.evaluation.classifier import SETTINGS, classifier_accuracy, trained_classifier, trained_on_turns
from ddpm_core.evaluation.features import (
    FeatureError,
    FeatureNetwork,
    extract_features,
    inception,
    of_classes,
    of_turns,
)
from ddpm_core.evaluation.submodules import submodule
from tests.command_lines import assert_refused
from tests.conftest import CLASSES

SHORT = SETTINGS.model_copy(update={"iterations": 60, "batch_size": 16, "warmup": 5})
CPU = torch.device("cpu")


def new_inception(monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """torch-fidelity's network with random weights; it has no way to be built without any."""
    module = submodule("torch_fidelity", "feature_extractor_inceptionv3")
    with monkeypatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"])
    for part in network.modules():  # so that what comes in still tells in what comes out
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
    return network.half().float().eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """A file like the one of FID, but with random weights, and the network they are of."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        network = new_inception(patch)
    file = tmp_path_factory.mktemp("weights") / "pt_inception.pth"
    torch.save({name: tensor.half() for name, tensor in network.state_dict().items()}, file)
    return file, network


def pictures(count: int = 2) -> PictureSet:
    return PictureSet(torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8), [])


# Inception


def test_inception_sees_what_the_network_of_the_file_sees(weights: tuple[Path, nn.Module]) -> None:
    file, reference = weights
    some = pictures()
    network = inception(file, CPU)
    found = extract_features(network, some)
    expected, logits = reference(some.pixels)
    assert network.name == "inception"
    assert network.reads
    assert found.features.shape == (2, 2048)
    assert found.probabilities.shape == (2, 1008)
    assert torch.allclose(found.features.float(), expected, rtol=1e-3, atol=1e-4 * expected.abs().max())
    assert torch.allclose(found.probabilities.float(), logits.softmax(1), atol=1e-3)
    assert not torch.allclose(found.features[0], found.features[1], rtol=1e-3)


def test_the_weights_may_be_safetensors(weights: tuple[Path, nn.Module], tmp_path: Path) -> None:
    file, reference = weights
    # As older files are: without the counters that newer versions of torch keep beside batch norms.
    tensors = {name: tensor for name, tensor in reference.state_dict().items() if "num_batches" not in name}
    save_file(tensors, tmp_path / "inception.safetensors")
    some = pictures(1)
    one, other = (
        extract_features(inception(each, CPU), some).features for each in (file, tmp_path / "inception.safetensors")
    )
    assert torch.equal(one, other)


def test_files_that_hold_no_such_weights_are_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("not weights at all")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("not weights at all")
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    save_file({"conv.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    for name in ("text.pth", "empty.pth", "text.safetensors", "other.pth", "list.pth", "other.safetensors", "none.pth"):
        with pytest.raises(FeatureError, match=str(tmp_path / name)) as refused:
            inception(tmp_path / name, CPU)
        assert "\n" not in str(refused.value)
        assert str(refused.value).endswith(".")


class Harm:
    """What, unpickled, would write a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return builtins.open, (str(self.file), "w")


def test_nothing_in_a_file_of_weights_is_run(tmp_path: Path) -> None:
    with open(tmp_path / "plain.pth", "wb") as file:
        pickle.dump({"fc.weight": Harm(tmp_path / "harmed")}, file, protocol=2)
    torch.save({"fc.weight": Harm(tmp_path / "harmed")}, tmp_path / "archive.pth")
    for name in ("plain.pth", "archive.pth"):
        with pytest.raises(FeatureError, match="cannot be read"):
            inception(tmp_path / name, CPU)
    assert not (tmp_path / "harmed").exists()


def test_without_torch_fidelity_one_sentence_says_how_to_get_it(
    weights: tuple[Path, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torch_fidelity"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(FeatureError, match="pip install --no-deps"):
        inception(weights[0], CPU)


def test_a_wrong_file_is_refused_before_anything_is_measured(
    call, tiny_checkpoint: Path, picture_folder: Path, tmp_path: Path
) -> None:
    arguments = ["--checkpoint", tiny_checkpoint, "--data", picture_folder, "--device", "cpu"]
    assert_refused(call(evaluate.main, *arguments, "--inception", tmp_path / "none.pth"), "none.pth")


# Classifiers


def gradients(count: int, seed: int, size: int = 16) -> PictureSet:
    """Noise that is brightest on top."""
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 120, (count, 3, size, size), generator=draw)
    return PictureSet((pixels + torch.linspace(130, 0, size).view(-1, 1)).to(torch.uint8), [])


def test_a_classifier_learns_how_pictures_are_turned() -> None:
    classifier = trained_on_turns(gradients(40, seed=0), CPU, SHORT)
    others = gradients(20, seed=1).pixels
    for turns in range(4):
        turned = PictureSet(others.rot90(turns, (2, 3)), [], torch.full((20,), turns))
        assert classifier_accuracy(classifier, turned) > 0.9


def test_turns_are_seen_in_reduced_pictures_and_read_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifiers, "LARGEST", 16)
    large, small = gradients(12, seed=0, size=32), gradients(4, seed=1, size=32)
    network = of_turns(large, CPU, SHORT.model_copy(update={"iterations": 3}))
    found = extract_features(network, small, batch=3)
    assert (network.name, network.reads) == ("turns", False)
    assert found.features.shape == (4, 64)
    blocks = small.pixels.float().view(4, 3, 16, 2, 16, 2).mean((3, 5)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    flat = network.extract(blocks / 127.5 - 1)[0]  # detail finer than what it sees makes no difference
    assert torch.allclose(flat.double(), found.features, atol=1e-4)


def test_a_classifier_of_classes_says_what_it_sees_and_reads() -> None:
    some = gradients(12, seed=0)
    labelled = PictureSet(some.pixels, [], torch.arange(12) % 3)
    classifier = trained_classifier(labelled, 3, CPU, SHORT.model_copy(update={"iterations": 3}))
    network = of_classes(classifier)
    found = extract_features(network, some, batch=5)
    assert (network.name, network.reads) == ("classifier", True)
    assert found.features.shape == (12, 64)
    assert found.features.dtype == torch.float64
    with torch.inference_mode():
        scores = classifier(some.batch(torch.arange(12)))
    assert torch.allclose(found.probabilities.float(), scores.softmax(1), atol=1e-6)


# What evaluating says


@pytest.fixture
def labelled_folder(tmp_path: Path) -> Path:
    """Thirty shades, ten of them held out, of the classes of the small checkpoint that has some."""
    lines = ["file,split,class"]
    for number in range(30):
        Image.new("RGB", (32, 32), (8 * number, 200, 90 * (number % 3))).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{'val' if number < 10 else 'train'},{CLASSES[number % 3]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluating trains its classifiers for no longer than it takes to have some."""
    short = SHORT.model_copy(update={"iterations": 3})
    monkeypatch.setattr(measuring, "trained_classifier", partial(trained_classifier, settings=short))
    monkeypatch.setattr(measuring, "of_turns", partial(of_turns, settings=short))


@pytest.mark.parametrize(("classes", "name", "scored"), [(False, "turns", False), (True, "classifier", True)])
def test_evaluating_compares_by_what_it_can_train_and_says_so(
    call,
    quick: None,
    tiny_checkpoint: Path,
    class_checkpoint: Path,
    labelled_folder: Path,
    classes: bool,
    name: str,
    scored: bool,
) -> None:
    report = labelled_folder / "measures.json"
    arguments = ["--checkpoint", class_checkpoint if classes else tiny_checkpoint, "--data", labelled_folder]
    outcome = call(evaluate.main, *arguments, "--device", "cpu", "--samples", 9, "--fills", 1, "--json", report)
    assert outcome.status == 0, outcome.err
    measures = json.loads(report.read_text())
    assert (measures["features"], measures["feature_set"]) == (name, 9)
    assert len(measures[f"{name}_kernel_floor"]) == 2
    assert (f"{name}_score" in measures) is scored
    assert not any(key.startswith(("fid", "kid", "inception")) for key in measures)
    lines = outcome.out.splitlines()
    assert lines[-1] == f"Wrote {report}."
    for key in measures:
        assert any(line.startswith(f"{key} ") for line in lines), key
    assert all("not Inception" in line for line in lines if line.startswith(f"{name}_frechet "))


def test_evaluating_with_inception_prints_fid(
    call, quick: None, tiny_checkpoint: Path, labelled_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sees_colour(file: Path, device: torch.device) -> FeatureNetwork:
        def extract(image: Tensor) -> tuple[Tensor, Tensor]:
            return image.mean((2, 3)), image.mean((2, 3)).softmax(1)

        assert file == Path("weights.pth")
        return FeatureNetwork("inception", extract)

    monkeypatch.setattr(measuring, "inception", sees_colour)
    report = labelled_folder / "measures.json"
    arguments = ["--checkpoint", tiny_checkpoint, "--data", labelled_folder, "--inception", "weights.pth"]
    outcome = call(evaluate.main, *arguments, "--device", "cpu", "--samples", 9, "--fills", 1, "--json", report)
    assert outcome.status == 0, outcome.err
    measures = json.loads(report.read_text())
    assert measures["features"] == "inception"
    assert {"fid", "fid_floor", "kid", "kid_floor", "inception_score", "inception_recall"} <= set(measures)
