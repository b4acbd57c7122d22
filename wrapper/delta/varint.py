"""The numbers that changes and recipes begin with.

They have seven bits in a byte, the lowest first; all bytes but the last have their highest bit set.
"""

from __future__ import annotations

from .malformed import MalformedError


def encode(number: int) -> bytes:
    """Return a number, written so."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


class VarintReader:
    """Numbers that are read one after the other; of hostile origin.

    Attributes:
        place: where the next one begins.
    """

    def __init__(self, data: bytes, place: int, missing: str) -> None:
        """Begin.

        Args:
            data: what has them.
            place: where the first one begins.
            missing: what to say where one is not there as a whole.
        """
        self._data = data
        self._missing = missing
        self.place = place

    def next(self, most: int) -> int:
        """Read a number.

        Raises:
            MalformedError: it is more than `most`, or there is none.
        """
        number = shift = 0
        while True:
            if self.place >= len(self._data) or shift > 56:
                raise MalformedError(self._missing)
            byte = self._data[self.place]
            self.place += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if number > most:
            raise MalformedError("a number that is too large")
        return number
