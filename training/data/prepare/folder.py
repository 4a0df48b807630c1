"""A folder of one's own images, sounds and videos made into a data set: frames, sound tracks and a rows file."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from training.data.parallel import in_parallel
from training.data.prepare.copies import Groups, find_copies
from training.data.prepare.cut import FRAMES, SAMPLE_RATE, SOUNDS, Piece, Video, cut_video
from training.data.prepare.files import walk
from training.data.prepare.notes import NOTES, Notes, state_of
from training.data.prepare.output import PREPARED, Output, Prepared, PrepareError, open_output
from training.data.prepare.split import assign
from training.data.rows import Row
from training.model.media import image, sound
from training.model.media.source import MediaError, MissingMedia, UnsupportedMedia

EVERY = 2.0  # seconds, the models' window
PER_VIDEO = 30
_LONGEST = 3600.0  # seconds of a piece

# Videos and sounds that people have and that are not read here: told of, not passed over in silence.
_FOREIGN = frozenset([".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".mts", ".m2ts", ".ogv", ".wma", ".heic"])
_NO_ID = re.compile(r"[^A-Za-z0-9._-]")

Kind = Literal["image", "sound", "video"]


def prepare_folder(src: Path, out: Path, every: float = EVERY, per_video: int = PER_VIDEO) -> Prepared:
    """Make a data set of all images, sounds and videos below a folder; hidden files and folders stay out, links to
    folders are followed.

    - A video becomes pieces of `every` seconds, at most `per_video` of it, each with the frame at its middle and its
      stretch of the sound track (see `cut_video`). They are one clip, named by the video's path.
    - An image and a sound of the same name in the same folder are a pair, and a clip. Other images and sounds are rows
      of their own. They are not copied: the rows file says where they lie.
    - The first folder below `src` that a file lies in is its label; what lies in `src` itself has none.
    - What has a label or is a pair is split by clip into train, val and test (see `assign`); files of the same folder
      and name, whatever their endings, stay together. Single files without a label are `unpaired`.
    - Files of the same bytes, and all that share one, are one clip, which goes by the first of their names: else what
      a model learned from would be in its test as well.

    Files that can't be read are left out and listed in `unreadable.csv`. The rows file is written last: where it is,
    the set is complete. Run again, only what has changed is made.

    Args:
        src: the folder; nothing in it is changed.
        out: the folder for frames/, sounds/ and rows.csv; may lie in `src`.
        every: seconds of a piece.
        per_video: pieces of a video at most.

    Raises:
        PrepareError: `src` has nothing to prepare, `out` can't be written or holds something else, or an option is out
            of its range.
    """
    if not 0.1 <= every <= _LONGEST:
        raise PrepareError(f"--every takes seconds from 0.1 to {_LONGEST:g}, not {every:g}")
    if per_video < 1:
        raise PrepareError(f"--per-video takes a whole number of at least 1, not {per_video}")
    with open_output(src, out, "folder", (FRAMES, SOUNDS, NOTES)) as output:
        return _Preparing(output, every, per_video).run(src)


@dataclass(frozen=True)
class _File:
    """A file to look at: its path below the folder, and what its ending says it is."""

    path: str
    kind: Kind


@dataclass(frozen=True)
class _Found:
    """A file that can be read; of a video its pieces."""

    path: str
    kind: Kind
    pieces: tuple[Piece, ...] = ()

    @property
    def stem(self) -> str:
        return str(PurePosixPath(self.path).with_suffix(""))


class _Preparing:
    def __init__(self, output: Output, every: float, per_video: int) -> None:
        self.output, self.src, self.out = output, output.src, output.folder
        self.every, self.per_video = every, per_video

    def run(self, src: Path) -> Prepared:
        """Do it; `src` is the folder as the user named it."""
        files = sorted(self._walk(), key=lambda file: (file.kind != "video", file.path))  # what takes longest first
        if not files and not self.output.unreadable:
            raise PrepareError(f"{src} holds no images, sounds or videos; name a folder that does")
        self.output.begin()
        return self.output.finish(self._rows(self._read_all(files)))

    def _walk(self) -> Iterator[_File]:
        for parent, folders, names in walk(self.src, self._closed):
            if parent.resolve() == self.out or (PREPARED in names and parent != self.src):  # a data set made here
                folders.clear()
                continue
            for name in names:
                path = (parent / name).relative_to(self.src).as_posix()
                kind = _kind(name)
                if kind is None and Path(name).suffix.lower() not in _FOREIGN:
                    continue
                if kind is None:
                    self.output.leave_out(
                        UnsupportedMedia(
                            _printable(path), "is of a kind that is not read; convert it to MP4, MP3 or JPEG"
                        )
                    )
                elif _printable(path) != path:
                    self.output.leave_out(UnsupportedMedia(_printable(path), "has a name that is not UTF-8; rename it"))
                else:
                    yield _File(path, kind)

    def _closed(self, error: OSError) -> None:
        path = os.path.relpath(error.filename, self.src)
        self.output.leave_out(
            MissingMedia(_printable(path), f"can't be read ({error.strerror}); check the folder's permissions")
        )

    def _read_all(self, files: Sequence[_File]) -> list[_Found]:
        found = []
        with Notes(self.out / NOTES) as notes:
            for result in in_parallel(lambda file: self._read(file, notes), files, "preparing", ahead=len(files) + 1):
                if isinstance(result, MediaError):
                    self.output.leave_out(result)
                else:
                    found.append(result)
        return sorted(found, key=lambda file: file.path)

    def _read(self, file: _File, notes: Notes) -> _Found | MediaError:
        """Look whether a file can be read, where no earlier run has; cut it where it is a video."""
        where = self.src / file.path
        try:
            if file.kind == "video":
                pieces = cut_video(Video(where, file.path), self.out, self.every, self.per_video)
                if pieces:
                    return _Found(file.path, "video", tuple(pieces))
            state = state_of(where, file.path)
            if notes.known(file.path, state) is None:
                if file.kind == "image":
                    image.decode_image(where, name=file.path, at_least=64)
                else:
                    sound.read_sound(where, SAMPLE_RATE, name=file.path)
                notes.note(file.path, state, [])
            return _Found(file.path, "image" if file.kind == "image" else "sound")
        except MediaError as error:
            return error

    def _rows(self, found: Sequence[_Found]) -> list[Row]:
        """All rows by path, each with its split. What shares a stem, or a file's bytes, shares the split."""
        groups = self._groups(found)
        drafts = []
        for file, partner in _pair_up(found):
            group = groups.of(file.stem)
            for row in self._rows_of(file, partner):
                drafts.append((group, replace(row, clip=group) if group in groups.joined else row))
        pairs = {group for group, row in drafts if row.image and row.sound}

        def is_split(group: str, row: Row) -> bool:
            return bool(row.label or (row.clip and group in pairs))  # a video's mute end belongs to its pairs

        splits = assign({group for group, row in drafts if is_split(group, row)}, pairs)
        return [replace(row, split=splits[group]) if is_split(group, row) else row for group, row in drafts]

    def _groups(self, found: Sequence[_Found]) -> Groups:
        """Stems with what has a file in common, so that nothing is in two splits."""
        groups = Groups()
        stems = {self.src / file.path: file.stem for file in found}
        for same in find_copies(stems):
            groups.join(stems[file] for file in same)
            self.output.copies += len(same) - 1
        return groups

    def _rows_of(self, file: _Found, partner: _Found | None) -> Iterator[Row]:
        """Rows of a file, or of an image and its sound, of split `unpaired` for now."""
        label = file.path.split("/")[0].strip() if "/" in file.path else ""
        if file.kind == "video":
            for piece in file.pieces:
                yield Row(
                    split="unpaired",
                    label=label,
                    image=piece.image,
                    sound=piece.sound,
                    clip=file.path,
                    id=row_id(file.path, f":{piece.start:.3f}".rstrip("0").rstrip(".")),
                    start=piece.start if piece.sound else 0.0,
                    duration=piece.duration if piece.sound else None,
                )
        elif file.kind == "sound":
            yield Row("unpaired", label, sound=self.output.path_to(self.src / file.path), id=row_id(file.path))
        else:
            yield Row(
                split="unpaired",
                label=label,
                image=self.output.path_to(self.src / file.path),
                sound=self.output.path_to(self.src / partner.path) if partner else "",
                clip=file.stem if partner else "",
                id=row_id(file.path),
            )


def row_id(path: str, suffix: str = "") -> str:
    """A row's id from its file's path: `/` becomes `:`; where more must change, part of a hash keeps it unique.

    Returns:
        at most 100 of the characters A-Z a-z 0-9 . _ : -
    """
    id = "/".join(_NO_ID.sub("_", part) for part in path.split("/"))
    if id != path or len(id) + len(suffix) > 100:
        tail = f"-{hashlib.sha256(path.encode()).hexdigest()[:8]}"
        id = id[: 100 - len(tail) - len(suffix)] + tail
    return id.replace("/", ":") + suffix


def _pair_up(found: Sequence[_Found]) -> Iterator[tuple[_Found, _Found | None]]:
    """Every file, with an image the sound that has its folder and stem; such a sound is not given again."""
    stems: dict[tuple[str, Kind], _Found] = {}
    for file in found:
        stems.setdefault((file.stem, file.kind), file)  # the first by name
    for file in found:
        other: Kind = "sound" if file.kind == "image" else "image"
        first = file.kind != "video" and stems[file.stem, file.kind] is file
        partner = stems.get((file.stem, other)) if first else None
        if file.kind == "image" or partner is None:
            yield file, partner


def _kind(name: str) -> Kind | None:
    suffix = Path(name).suffix.lower()
    if suffix in sound.VIDEO_SUFFIXES:
        return "video"
    if suffix in image.SUFFIXES:
        return "image"
    return "sound" if suffix in sound.SUFFIXES else None


def _printable(path: str) -> str:
    """A path as text; bytes of it that are not UTF-8 are spelled out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
