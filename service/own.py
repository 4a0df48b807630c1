"""`bma create`: a folder of one's own videos, pictures and sounds made into a search engine."""

from __future__ import annotations

from pathlib import Path

from service.project import Project, ProjectError
from training.config import TrainingConfig
from training.data.commands import say_prepared
from training.data.prepare.folder import EVERY, PER_VIDEO, prepare_folder


class OwnProject(Project):
    """A project of somebody's own files.

    Args:
        src: the folder with the files; first-level folders in it are labels.
        out: the project's folder.
        config: how to train.
        device: auto, cpu, cuda or cuda:N.
        every: seconds of the pieces that videos are cut into.
        per_video: pieces of a video at most.
    """

    def __init__(
        self,
        src: Path,
        out: Path,
        config: TrainingConfig,
        device: str = "auto",
        every: float = EVERY,
        per_video: int = PER_VIDEO,
    ) -> None:
        super().__init__(out, config, device)
        self.src, self.every, self.per_video = src, every, per_video

    def make_data(self) -> None:
        """Prepare the folder; of what was prepared before, only what has changed."""
        self.say(f"1. preparing {self.src}")
        made = prepare_folder(self.src, self.rows_file.parent, self.every, self.per_video)
        say_prepared(made)
        if made.train_pairs < 2:
            raise ProjectError(
                f"{self.src} gives {made.train_pairs} pairs to train with; "
                "a model learns from pairs: add videos with sound, or images and sounds of the same name"
            )
