"""The endings of files that are read, without what reads them: for those who must only tell images from sounds."""

from __future__ import annotations

IMAGES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".png",
        ".apng",
        ".webp",
        ".avif",
        ".heic",
        ".heif",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".jp2",
        ".j2k",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
    ]
)
VIDEOS = frozenset([".webm", ".mp4", ".m4v", ".mov", ".mkv"])
SOUNDS = VIDEOS | frozenset(
    [
        ".wav",
        ".wave",
        ".flac",
        ".mp3",
        ".ogg",
        ".oga",
        ".opus",
        ".m4a",
        ".aac",
        ".weba",
        ".mka",
        ".aif",
        ".aiff",
        ".caf",
        ".w64",
    ]
)
