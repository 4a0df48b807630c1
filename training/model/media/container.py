"""Sounds and videos opened through PyAV (FFmpeg), whose errors become one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av

from training.model.media.source import (
    DamagedMedia,
    MediaError,
    MediaTooLarge,
    Source,
    UnsupportedMedia,
    lost,
    nameless,
    open_source,
)

# Containers that hold their own samples. Playlists (HLS, concat, DASH, SDP) stay out: they name other files and
# addresses.
CONTAINERS = "wav,w64,aiff,caf,flac,mp3,ogg,aac,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2"

_TOO_MUCH = "does not fit in memory when decoded; cut it into shorter files"


@contextmanager
def opened(source: Source, name: str, otherwise: str) -> Iterator[Any]:
    """An open container; what FFmpeg raises for bad files becomes one sentence.

    Args:
        source: the file's bytes or its path.
        name: what messages call it.
        otherwise: why a file that FFmpeg can't open is refused, and the remedy.

    Raises:
        MediaError: one sentence that names the file and the remedy.
    """
    with open_source(source, name) as stream:
        try:
            # the whitelists keep a crafted upload from making FFmpeg open other files or addresses
            options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "none"}
            if stream.read(4) == b"RIFF":
                # the header says it all; FFmpeg would decode 5 MB to learn the same, and give what follows in 4 kB
                options |= {"probesize": "4096", "max_size": "16384"}
            stream.seek(0)
            container = av.open(nameless(stream), mode="r", options=options, metadata_errors="ignore")
        except MemoryError:
            raise MediaTooLarge(name, _TOO_MUCH) from None
        except (av.FFmpegError, ValueError, OverflowError):
            raise UnsupportedMedia(name, otherwise) from None
        except OSError as error:  # the stream's own, which PyAV passes on
            raise lost(name, error) from None
        with container:
            try:
                yield container
            except MediaError:
                raise
            except MemoryError:
                raise MediaTooLarge(name, _TOO_MUCH) from None
            except av.FFmpegError as error:
                detail = str(error.strerror or error).strip().rstrip(".")
                raise DamagedMedia(name, f"is damaged: {detail}; export it again") from None
            except OSError as error:
                raise lost(name, error) from None


def films(container: Any) -> list[Any]:
    """The streams of moving pictures, without covers (a still picture that a sound file carries)."""
    return [stream for stream in container.streams.video if not stream.disposition & av.stream.Disposition.attached_pic]


def check_packets(name: str, good: int, bad: int) -> None:
    """A handful of undecodable packets is passed over; with more the file is damaged. Raises `DamagedMedia`."""
    if bad > max(2, good // 10):
        raise DamagedMedia(name, f"is damaged ({bad} of {good + bad} packets can't be decoded); export it again")
