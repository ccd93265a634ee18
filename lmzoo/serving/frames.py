"""Messages between the server and the process of a model: JSON behind a length of four bytes."""

import json
import struct

__all__ = ["encode_frame", "read_frame", "read_frame_async"]

_HEADER = struct.Struct("!I")


def encode_frame(message):
    """A dict as bytes."""
    data = json.dumps(message, separators=(",", ":")).encode()
    return _HEADER.pack(len(data)) + data


def read_frame(stream):
    """The next message of a binary file, or None at its end."""
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    data = stream.read(_HEADER.unpack(header)[0])
    return json.loads(data)


async def read_frame_async(reader):
    """The next message of an asyncio.StreamReader.

    Raises:
        asyncio.IncompleteReadError: at its end.
    """
    header = await reader.readexactly(_HEADER.size)
    return json.loads(await reader.readexactly(_HEADER.unpack(header)[0]))
