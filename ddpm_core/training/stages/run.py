"""A stage of a training run from beginning to end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.native import finished_after
from ddpm_core.errors import lookup
from ddpm_core.training.distributed import ALONE, World
from ddpm_core.training.loop import Trainer, TrainingError, TrainStep
from ddpm_core.training.memory_budget import divided, fit
from ddpm_core.training.pictures import Pictures, describe
from ddpm_core.training.record.journal import Journal
from ddpm_core.training.record.plots import draw
from ddpm_core.training.record.report import reported
from ddpm_core.training.resume import changes, other_basis, refuse_other_classes, refuse_other_words
from ddpm_core.training.settings import STAGES, StageName, StageSettings, TrainRequest
from ddpm_core.training.stages.classifier import ClassifierStage
from ddpm_core.training.stages.critic import AdversarialVaeStage
from ddpm_core.training.stages.denoiser import DenoiserStage, words_read
from ddpm_core.training.stages.distillation import DistillationStage
from ddpm_core.training.stages.guide import GuideStage
from ddpm_core.training.stages.stage import Stage, weights_file
from ddpm_core.training.stages.vae import MEASURED, VaeStage
from ddpm_core.training.state import load_state, save_state


@dataclass
class Update:
    """News from a stage: the optimiser's step, and, now and then, measures, most of them on held-out pictures."""

    stage: str
    step: TrainStep
    held_out: dict[str, float] = field(default_factory=dict)


def state_file(out: Path, stage: StageName) -> Path:
    return out / "training" / f"{stage}.safetensors"


def free_place(stage: StageName, request: TrainRequest) -> tuple[Path, Path]:
    """Where a stage keeps its state and its weights.

    Raises:
        CheckpointError: the folder already holds this stage and `resume` is off, or what it holds cannot be resumed.
    """
    state, weights = state_file(request.out, stage), weights_file(request.out, stage)
    if weights.exists() and not state.exists():
        raise CheckpointError(
            f"{weights} is a finished model without {state}, so it cannot be resumed; choose another --out, "
            f"and --init {request.out} to start from it."
        )
    if state.exists() and not request.resume:
        raise CheckpointError(f"{weights} already exists; add --resume to continue it or choose another --out.")
    return state, weights


def prepare(stage: StageName, request: TrainRequest, pictures: Pictures, world: World = ALONE) -> Stage:
    """A stage ready to train: its model, and all that it learns from.

    Raises `CheckpointError` if --init does not fit.
    """
    lookup(STAGES, "stage", stage)
    if stage == "denoiser":
        distilled = request.denoiser.learns == "consistency"
        return (DistillationStage if distilled else DenoiserStage).prepare(request, pictures, world)
    if stage == "classifier":
        return ClassifierStage.prepare(request, pictures, world)
    if stage == "guide":
        return GuideStage.prepare(request, pictures, world)
    return (AdversarialVaeStage if request.vae.adversarial_weight else VaeStage).prepare(request, pictures)


def run_stage(
    name: StageName,
    request: TrainRequest,
    pictures: Pictures,
    world: World = ALONE,
    say: Callable[[str], object] = lambda sentence: None,
    begin: Callable[[], object] = lambda: None,
) -> Generator[Update]:
    """Train one stage to its end, yielding after every step.

    Writes below `request.out` weights and `config.json` (a usable checkpoint at every save), the card, and in
    `training/` state and record. Several processes all call this and stop after the same step; the first writes, for a
    folder that all can read.

    Args:
        say: given a sentence for what is taken over, settings that changed, batches too large for the memory.
        begin: called when what is done from then on is worth saving.

    Raises:
        CheckpointError: the folder already holds this stage and `resume` is off, or what it holds does not fit.
        TrainingError: training diverged, or does not fit into the memory.
        UnwritableError: a file could not be written.
    """
    lookup(STAGES, "stage", name)
    settings: StageSettings = getattr(request, name)
    state, weights = free_place(name, request)
    world.barrier()  # what an earlier run of these processes had to write is written
    resumed = state.exists()
    notes = changes(name, request) if resumed else []
    if resumed and name == "denoiser":
        refuse_other_classes(request.out, pictures.classes)
        refuse_other_words(request.out, words_read(request, pictures))
    stage = prepare(name, request, pictures, world)
    trainer = Trainer(stage.model, settings, request.precision, request.seed, world, stage.loss_state)
    notes += other_basis(load_state(trainer, state), stage.basis) if resumed else stage.notes
    fit(trainer, stage.loss)
    if (chunks := trainer.chunks) > 1:
        notes.append(divided(settings.batch_size, chunks))
    for sentence in notes:
        say(sentence)
    begin()

    if not world.is_main:
        for step in trainer.train(stage.loss):
            refuse_to_have_learned_nothing(step, settings)
            yield Update(name, step)
        world.barrier()  # the weights are written
        return

    def export(final: bool) -> None:
        stage.export(trainer.ema.module.eval(), trainer.step if final else None)

    if trainer.step >= settings.iterations and finished_after(weights) != trainer.step:
        export(final=True)  # it was killed between the last state and the last weights

    facts: dict[str, Any] = facts_of(trainer, pictures) | {"settings": request.recorded(name)}
    if name == "vae" and facts["held_out"] > MEASURED:
        facts["measured"] = MEASURED
    if isinstance(stage, DenoiserStage) and stage.prompts:
        facts["prompts"] = stage.prompts
    with reported(request.out, name), Journal(state.parent, name, trainer.step, facts) as journal:
        journal.settings(request.model_dump_json(indent=2))
        describe(request, pictures)
        saved = trainer.step
        for step in trainer.train(stage.loss):
            if step.chunks > chunks:
                chunks = step.chunks
                say(divided(settings.batch_size, chunks))
            update = Update(name, step)
            final = step.step == settings.iterations
            looked_at = final or step.step % request.sample_every == 0
            if looked_at:
                update.held_out = stage.evaluate(trainer.ema.module.eval(), journal.grid(step.step))
            journal.write(step, update.held_out)
            if looked_at and not final:  # those of the end are the report's
                draw(state.parent, name, journal.rows)
            refuse_to_have_learned_nothing(step, settings)
            # Not after a step that was not finite: if it is the weights' fault, what was saved before is worth more.
            if final or (step.taken and step.step // request.save_every > saved // request.save_every):
                # In this order, and after the row: killed between them, a state lacks no row, nor weights their state.
                save_state(trainer, state, stage.basis)
                export(final)
                saved = step.step
            try:
                yield update
            except GeneratorExit:  # the consumer stops early; the step is whole, so nothing is lost
                if not step.taken:
                    say(f"The last step gave numbers that are not finite, so what was saved after step {saved} stands.")
                elif saved < step.step:
                    save_state(trainer, state, stage.basis)
                    export(final=False)
                raise
    world.barrier()


def facts_of(trainer: Trainer, pictures: Pictures) -> dict[str, str | int]:
    """What the record says of a run besides its settings."""
    return {
        "device": str(trainer.device),
        "precision": str(trainer.dtype).removeprefix("torch."),
        "processes": trainer.world.size,
        "pictures": pictures.files,
        "held_out": len(pictures.held_out or []),
        "unreadable": len(pictures.skipped),
        "unused": pictures.unused,
    }


def refuse_to_have_learned_nothing(step: TrainStep, settings: StageSettings) -> None:
    """Raises `TrainingError` after the last step if not one was taken."""
    if step.step == settings.iterations and step.skipped == step.step:
        raise TrainingError(
            f"None of the {step.step} steps gave numbers that are finite, so nothing was learned; try a lower "
            "learning rate or --precision fp32."
        )
