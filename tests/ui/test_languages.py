"""Every text of the page is known in every language, and no dictionary holds what the page does not say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.i18n import I18nData
from pydantic import Field

from ddpm_core.cli import bounds
from ddpm_core.requests import AnagramRequest, GenerateRequest, HybridRequest
from ddpm_core.training.settings import STAGES
from ui import languages
from ui.models import Shelf
from ui.page import build
from ui.play_modes import VIEW_NAMES, _anagram_captions, _hybrid_captions
from ui.saved_settings import left_out
from ui.serving.limits import too_much
from ui.tabs.generate import captions_of
from ui.tabs.inside.tour import TOUR
from ui.tabs.inside.views import VIEWS
from ui.tabs.train import GRID_CAPTION
from ui.theme import STATIC
from ui.training.runs import Trainings

ROOT = Path(languages.__file__).resolve().parents[2]
TABS = ("generate", "inpaint", "edit", "play", "process", "inside", "train")  # that are translated
SAME = {  # names, which are the same everywhere
    "DDIM", "DDPM", "Euler", "Heun", "DPM-Solver++", "DPM-Solver++ SDE", "UniPC", "Langevin", "LCM", "GIF", "MP4",
    "128", "256", "512", "/home/me/photos", "Run", "x", "y",
    "linear", "scaled-linear", "cosine", "quadratic", "sigmoid", "flow", "ve",  # schedules, as programs call them
    "scaled-linear (quadratic)", "ve (variance exploding)",
}  # fmt: skip
COMPOSED = {  # put together from parts, in ui/training, ui/tabs, ddpm_core and static/everybody.js
    "{name} does not know, and passes over: {words}.",
    "{name} finds no words in '{text}', and passes over it.",
    "{name} reads {most} words and commas at most; the last {count} of the prompt are left out.",
    "spiral", "moons",  # of ddpm_core/inspection/point_sets.py, as its other shapes
    "Download MP4", "Loss of the autoencoder", "Loss of the denoiser", "Loss of the classifier", "Loss of the guide",
    "Warning", "Info",
    "The left one", "The right one", "The left one is real", "The right one is real",
    "A face if one is painted. Around the paint, small parts of large pictures come out finer.",
    "A photo is cut to the face in it, or without one to the square in its middle; what comes out is as large as the "
    "model's pictures, {size} pixels a side.",
    "A photo is cut to the square in its middle; what comes out is as large as the model's pictures, {size} pixels a "
    "side.",
    "{about} ({least} to {most})", "{about} ({least} to below {most})", "{about} (above {least} to {most})",
    "{about} (at least {least})", "{about} (above {least})",  # settings of Train
    "{size} pixels, autoencoder {first} steps, denoiser {second} steps.",
    "step {done} of {total} · {left} left · stage {at} of {all}: {stage}",
    "step {done} of {total} · stage {at} of {all}: {stage}",
    "step {done} of {total} · {left} left · {stage}", "step {done} of {total} · {stage}",  # of one stage alone
    "{label}, seed {seed}, {view}", "seed {seed}, {view}", "close by", "from afar",
    "After, seed {seed}", "Pause the animation, seed {seed}", "Play the animation, seed {seed}",
    "Nothing is painted yet; brush over the part you want made anew.",
    "Nothing is painted yet; brush over the part you want to keep.",
    "Place {rank} in line · ready in about {time}", "Next in line · ready in about {time}",
    "as it is: yes", "as it is: no",  # of ui/training/settings_form.py
    # Of Gradio's canvas, pictures and sliders, which it has in few languages.
    "Pan", "Zoom in", "Zoom out", "Undo", "undo", "Redo", "Clear canvas", "Brush", "Erase", "Brush Size", "Eraser Size",
    "Fullscreen", "Thumbnail {at} of {all}", "number input for {name}", "range slider for {name}",
    "save it as a PNG or JPEG, or install the reader: pip install pillow-heif",  # of ddpm_core/images/kinds.py
    "save it as a PNG or JPEG, or install a newer Pillow", "develop it, then save it as a PNG or JPEG",
    # Of ddpm_core/checkpoints/folders.py.
    "No checkpoint here enlarges pictures; train one with python -m ddpm_core.train --denoiser-enlarges 2.",
    # Of ddpm_core/data, which a folder or an archive to train on is read by.
    "There are no pictures in {place} (looked for {kinds} and .parquet).",
    "There are no pictures in {place} (looked for {kinds} and .parquet). {more}",
    "None of {count} files could be used as a picture; {reason}",
    "{place} does not exist; name a folder of pictures, a .zip or .tar of one, or a .parquet or .npz file.",
    "{place} is not a folder; name a folder of pictures, a .zip or .tar of one, or a .parquet or .npz file.",
    "{place} is a single picture; name a folder of pictures, a .zip or .tar of one, or a .parquet or .npz file.",
    # Of pydantic, behind a field's name, as ddpm_core/errors.py puts them.
    "{field} should be greater than or equal to {least}, not '{given}'.",
    "{field} should be less than or equal to {most}, not '{given}'.",
    "{field} should be greater than {least}, not '{given}'.", "{field} should be less than {most}, not '{given}'.",
    "{field} should be a valid integer, not '{given}'.", "{field} should be a valid number, not '{given}'.",
    "Seed should be greater than or equal to {least}, not '{given}'.",
    "Seed should be less than or equal to {most}, not '{given}'.",
}  # fmt: skip
PLACE = re.compile(r"\{\w*\}")
BOUNDS = re.compile(r" \((at least |above )?[\d.]+( to (below )?[\d.]+)?\)$")


@pytest.fixture(scope="module")
def page(tiny_checkpoint: Path) -> gr.Blocks:
    shelf = Shelf.around(tiny_checkpoint, "cpu")
    return build(shelf, Trainings(shelf.root, "cpu", "everyone"))


def texts(page: gr.Blocks) -> Iterator[object]:
    """What stands on components of the translated tabs; of Train's settings without the bounds, which are put to it."""
    for block in page.blocks.values():
        above, tab = block, None
        while (above := above.parent) is not None:  # type: ignore[assignment]
            tab = above if isinstance(above, gr.Tab) else tab
        if isinstance(block, gr.Tab) and block.id in TABS:
            yield block.label
        if tab is None or tab.id not in TABS:
            continue
        if "unseen" in getattr(block, "elem_classes", ()):
            continue
        for name in (*languages.TEXTS, *(["value"] if isinstance(block, languages.PRESSED) else [])):
            if tab.id == "train" and name == "placeholder":
                continue  # values, as programs call them
            text = getattr(block, name, None)
            yield BOUNDS.sub("", text) if isinstance(text, str) and name == "info" else text
        if isinstance(block, gr.Radio | gr.Dropdown):
            offered = (text for text, value in block.choices if text != value)  # others are names
            yield from (text for text in offered if not str(text).startswith("__i18n__") or isinstance(text, I18nData))


def test_the_dictionaries_have_the_same_keys_and_places() -> None:
    words = languages.dictionaries()
    assert set(words) == {"de", "es", "fr", "ja", "zh-CN"}
    keys = set(words["de"])
    for language, translated in words.items():
        assert set(translated) == keys, language
        for text, translation in translated.items():
            assert translation.strip(), (language, text)
            assert sorted(PLACE.findall(text)) == sorted(PLACE.findall(translation)), (language, text)


def test_every_text_on_a_component_is_translated(page: gr.Blocks) -> None:
    known = SAME | set(languages.dictionaries()["de"])  # what is put together is translated where it is shown
    assert {text for text in texts(page) if isinstance(text, str) and text.strip()} - known == set()
    assert sum(isinstance(text, I18nData) for text in texts(page)) > 100


def test_what_the_tour_and_the_views_say_is_translated() -> None:
    said = [text for stop in TOUR for text in (stop.question, stop.text)]
    said += [text for view in VIEWS.values() for text in (view.title, view.sentence)]
    assert [text for text in said if text not in languages.dictionaries()["de"]] == []


TOLD = {"Problem", "Error", "Warning", "Info", "PictureError", "MaskError", "CheckpointError"}  # what tells a visitor
NOT_ON_THE_PAGE = {  # said to programs, as the app starts, or of what no control asks for
    "Both a picture and a mask are needed.", "A picture is needed.", "{} is not there; {}", "{} does not exist.",
    "{} cannot be opened: {}.",
}  # fmt: skip


def sentences() -> Iterator[str]:
    """What a visitor may be told, with {} where something is put in."""
    core = ROOT / "ddpm_core"
    loading = [core / "checkpoints" / name for name in ("atomic.py", "native.py", "diffusers_format.py")]
    loading.append(core / "pipeline" / "latent_diffusion.py")
    for path in [*(ROOT / "ui").rglob("*.py"), *(core / "images").rglob("*.py"), *loading]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            said = node.args[0]
            if name in TOLD and isinstance(said, ast.Constant) and isinstance(said.value, str):
                yield said.value
            elif name in TOLD and isinstance(said, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in said.values)  # type: ignore[misc]


def test_every_sentence_that_a_visitor_may_be_told_is_translated() -> None:
    known = {PLACE.sub("{}", text) for text in languages.dictionaries()["de"]} | NOT_ON_THE_PAGE
    told = set(sentences())
    assert len(told) > 50
    unknown = told - known - {"{}"}
    assert {text for text in unknown if not any(wish in text for wish in ("you want {}",))} == set()


def test_what_a_component_is_given_anew_is_translated_as_what_it_had() -> None:
    update = gr.update(choices=[("any", ""), ("ant", "ant"), ("as it is: pixel", "p")], label="From afar", value="any")
    shown = languages.translated(update)
    key = languages.PREFIX + "as it is"
    assert shown["choices"] == [
        (str(I18nData(languages.PREFIX + "any")), ""), ("ant", "ant"), (f"{I18nData(key)}: pixel", "p"),
    ]  # fmt: skip
    assert shown["label"] == str(I18nData(languages.PREFIX + "From afar"))
    assert shown["value"] == "any"  # values are no texts: programs know them by these names
    assert languages.translated(gr.update(choices=["any"]))["choices"] == ["any"]
    assert languages.translated("any") == "any"


def test_no_key_can_be_taken_for_a_value_and_english_is_there_for_all_other_languages() -> None:
    """Gradio looks up values as well as texts: one that is a key would be replaced by its translation."""
    known = languages.translations().translations_dict
    assert all(key.startswith(languages.PREFIX) for words in known.values() for key in words)
    assert all(key == languages.PREFIX + text for key, text in known["en"].items())
    assert set(known["en"]) == set(known["ja"])


def in_japanese(text: str) -> str:
    """As static/everybody.js puts it."""
    words = languages.dictionaries()["ja"]
    if text in words:
        return words[text]
    for form in sorted(filter(PLACE.search, words), key=lambda form: -len(PLACE.sub("", form))):
        found = re.fullmatch("(.+?)".join(map(re.escape, PLACE.split(form))), text, re.DOTALL)
        if found:
            said = words[form]
            for place, part in zip(PLACE.findall(form), found.groups(), strict=True):
                said = said.replace(place, in_japanese(part))
            return said
    return text


def put_together() -> Iterator[str]:
    """What a visitor is told of parts, by those who put it together."""
    yield str(too_much(GenerateRequest(count=8, steps=999), windows=9))
    all_but_seed = dict.fromkeys(set(GenerateRequest.model_fields) - {"seed"})
    model = SimpleNamespace(defaults={})
    yield "Its settings are here; Generate makes it again." + left_out(all_but_seed, GenerateRequest(seed=3), model)  # type: ignore[arg-type]
    yield from (caption.format(3) for caption in GRID_CAPTION.values())
    yield from captions_of(GenerateRequest(label="7"))
    for view in VIEW_NAMES:
        yield from _anagram_captions(AnagramRequest(view=view, label="6", other="9"))
    yield from _hybrid_captions(HybridRequest(label="6", other="9"))
    for stage in STAGES.values():  # of ui/training/process.py
        for place in (stage, f"5 h left · {stage}", f"stage 1 of 2: {stage}"):
            yield from (f"step 3 of 9 · {place}", f"step 3 of 9 · {place}, 2 steps skipped")
    yield "Stopped at the start. Resume goes on from there."
    yield "Training broke off (exit status 1); 7 has what it printed. Resume goes on from its last save."
    yield "The checkpoint 'A' is not here; B will make another picture."


def test_nothing_of_what_is_put_together_stays_english() -> None:
    shown = {text: in_japanese(text) for text in put_together()}
    assert len(shown) > 30
    assert {text: said for text, said in shown.items() if re.search("[a-z]{2}", said)} == {}


def said_in_source() -> Iterator[str]:
    """All texts in the program, with {} where something is put in."""
    rooms = ROOT / "ui", *(ROOT / "ddpm_core" / name for name in ("images", "pipeline", "checkpoints"))
    for path in (path for room in rooms for path in room.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(
                    part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "{}"
                    for part in node.values
                )
    for script in STATIC.glob("*.js"):
        yield PLACE.sub("{}", script.read_text(encoding="utf-8"))


def test_every_key_is_said_somewhere_on_the_page(page: gr.Blocks) -> None:
    keys = (text.key.removeprefix(languages.PREFIX) if isinstance(text, I18nData) else text for text in texts(page))
    said = "\n".join([*said_in_source(), *filter(None, map(str, keys))])

    def is_said(text: str) -> bool:
        return all(part.strip() in said for part in PLACE.split(text))

    assert [text for text in languages.dictionaries()["de"] if text not in COMPOSED and not is_said(text)] == []


def test_bounds_are_put_to_what_a_setting_says_as_the_dictionaries_know_it() -> None:
    known = {PLACE.sub("1", text) for text in languages.dictionaries()["de"] if text.startswith("{about} (")}
    forms = [
        Field(ge=1, le=1), Field(ge=1, lt=1), Field(gt=1, le=1), Field(ge=1), Field(gt=1),
    ]  # fmt: skip
    assert {f"1 ({bounds(form)})" for form in forms} == known
    assert all(BOUNDS.search(f"A text ({bounds(form)})") for form in forms)


def test_a_text_that_is_unknown_stays_as_it_is() -> None:
    assert languages.translatable("Nobody translated this.") == "Nobody translated this."
    assert languages.translatable(None) is None
    known = languages.translatable("Generate")
    assert isinstance(known, I18nData)
    assert known.key == languages.PREFIX + "Generate"
