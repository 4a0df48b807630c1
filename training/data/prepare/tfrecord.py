"""TFRecord files without TensorFlow: GZIP around one record, which is a SequenceExample.

A record is its length (uint64), a masked CRC-32C of the length (uint32), its bytes, and a masked CRC-32C of those. The
two are not looked at: GZIP's own CRC-32 covers them and all the rest, and is checked.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from training.model.media.source import (
    DamagedMedia,
    MediaTooLarge,
    Source,
    lost,
    name_of,
    open_source,
)

# TensorFlow's example.proto and feature.proto. What is not named here, lists of floats, is passed over when read.
_MESSAGES = {
    "BytesList": [("value", 1, "repeated bytes")],
    "Int64List": [("value", 1, "repeated int64")],
    "Feature": [("bytes_list", 1, "BytesList"), ("int64_list", 3, "Int64List")],
    "Features": [("feature", 1, "map Feature")],
    "FeatureList": [("feature", 1, "repeated Feature")],
    "FeatureLists": [("feature_list", 1, "map FeatureList")],
    "SequenceExample": [("context", 1, "Features"), ("feature_lists", 2, "FeatureLists")],
}

_HEAD, _TAIL = 12, 4  # bytes around a record's own: length and its checksum, the bytes' checksum


class SequenceExample:
    """What a record holds: single integers (its context) and lists of byte strings."""

    def __init__(self, message: Any, name: str) -> None:
        self._message, self.name = message, name

    def integer(self, key: str) -> int:
        """An int64 of the context.

        Raises:
            DamagedMedia: it is not there, or not one int64.
        """
        feature = self._message.context.feature.get(key)
        if feature is None or len(feature.int64_list.value) != 1:
            raise DamagedMedia(self.name, f"does not say '{key}' in its context; convert or copy it again")
        return int(feature.int64_list.value[0])

    def byte_strings(self, key: str, count: int) -> list[bytes]:
        """The entries of a feature list.

        Raises:
            DamagedMedia: it is not there, has not `count` entries, or they are not one byte string each.
        """
        found = self._message.feature_lists.feature_list.get(key)
        entries = [] if found is None else found.feature
        if len(entries) != count:
            raise DamagedMedia(
                self.name, f"holds {len(entries)} entries of '{key}' instead of {count}; convert or copy it again"
            )
        values = [entry.bytes_list.value for entry in entries]
        if any(len(value) != 1 for value in values):
            raise DamagedMedia(self.name, f"holds '{key}' as something else than bytes; convert or copy it again")
        return [bytes(value[0]) for value in values]


def read_sequence_example(source: Source, *, name: str | None = None, max_bytes: int) -> SequenceExample:
    """The one SequenceExample of a GZIP-compressed TFRecord file.

    Args:
        source: the file's bytes or its path.
        name: what messages call it.
        max_bytes: what is larger, decompressed, is refused before all of it is in memory.

    Raises:
        MediaError: one sentence that names the file and the remedy.
    """
    name = name_of(source, name)
    data = _decompressed(source, name, max_bytes)
    length = struct.unpack_from("<Q", data)[0] if len(data) >= _HEAD else None
    if length != len(data) - _HEAD - _TAIL:
        raise DamagedMedia(name, "is not one TFRecord; convert or copy it again")
    try:
        return SequenceExample(_message_class().FromString(data[_HEAD:-_TAIL]), name)
    except DecodeError:
        raise DamagedMedia(name, "does not hold a SequenceExample; convert or copy it again") from None


def _decompressed(source: Source, name: str, max_bytes: int) -> bytes:
    with open_source(source, name) as stream:
        try:
            data = gzip.GzipFile(fileobj=stream).read(max_bytes + 1)
        except gzip.BadGzipFile as error:
            raise DamagedMedia(name, f"is not a whole GZIP file ({error}); copy it again") from None
        except (EOFError, zlib.error):
            raise DamagedMedia(name, "is cut off or damaged; copy it again") from None
        except OSError as error:
            raise lost(name, error) from None
    if len(data) > max_bytes:
        raise MediaTooLarge(name, f"holds more than {max_bytes:,} bytes; convert or copy it again")
    return data


@cache
def _message_class() -> Any:
    """The class of `tensorflow.SequenceExample`, in a pool of its own, apart from TensorFlow's."""
    file = descriptor_pb2.FileDescriptorProto(name="sequence_example.proto", package="tensorflow", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, type_ in fields:
            _add_field(message, field, number, type_)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.SequenceExample"))


def _add_field(message: Any, name: str, number: int, type_: str) -> None:
    kind = descriptor_pb2.FieldDescriptorProto
    field = message.field.add(name=name, number=number, label=kind.LABEL_OPTIONAL)
    if type_.startswith("map "):  # on the wire, a repeated message of key and value
        pair = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        pair.options.map_entry = True
        _add_field(pair, "key", 1, "string")
        _add_field(pair, "value", 2, type_.removeprefix("map "))
        type_ = f"repeated {message.name}.{pair.name}"
    if type_.startswith("repeated "):
        field.label = kind.LABEL_REPEATED
        type_ = type_.removeprefix("repeated ")
    if type_[0].islower():
        field.type = kind.Type.Value(f"TYPE_{type_.upper()}")
    else:
        field.type, field.type_name = kind.TYPE_MESSAGE, f".tensorflow.{type_}"
