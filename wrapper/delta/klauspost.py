# cython: language_level=3, wraparound=False, initializedcheck=False, nonecheck=False, annotation_typing=False
# Some functions are C where this is compiled: see chunks.pxd, klauspost.pxd, and the end of this file.
# mypy: disable-error-code="name-defined"
# ruff: noqa: F821
"""Models of klauspost/compress at levels 5 and 6, as pgzip uses it in skopeo, podman, buildah and umoci.

Both levels keep two hash tables: one of four bytes with the last place, one of seven bytes with the last two. They
search forward, in growing steps where nothing is found, take the first match, and then try to better it: by one
that begins a little later, by one that is found by what follows it, and by going back over the literals before it.

What the default level writes has changed with klauspost/compress's version; each such change is a *generation*
(what is named has it as first released):

| generation | versions          | is in                                                                       |
|------------|-------------------|-----------------------------------------------------------------------------|
| 1          | 1.10.2 to 1.12.1  | umoci 0.4.6 to 0.6.0 as its authors build it                                |
| 2          | 1.12.2 to 1.14.4  | skopeo 1.3 to 1.6, buildah 1.21 to 1.24, podman 3.4 to 4.0                  |
| 3          | 1.15.0 to 1.15.9  | skopeo 1.7 to 1.9.4, buildah 1.25 to 1.27, podman 4.1 to 4.2                |
| 4          | 1.15.10 to 1.19.1 | skopeo 1.9.5, podman 4.3, buildah 1.28 and later; what Debian 12 built      |

Go 1.27's compress/flate took over levels 5 and 6 of generation 4.

Learned from klauspost/compress 1.10.2 to 1.19.1, `flate/level5.go`, `flate/level6.go`, `flate/fast_encoder.go`,
`flate/token.go`; Go 1.27.3, `compress/flate/level5.go`, `compress/flate/level6.go`.

This file is plain Python; `klauspost.pxd` has the types with which Cython compiles it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .chunks import Chunks
from .words import Words

if TYPE_CHECKING:
    from .window import Window

COMPILED = __file__.endswith(".so")
"""Whether this runs compiled."""

LEVELS = (5, 6)
"""The levels that are known. 5 is the default, of pgzip, too."""

GENERATIONS = (1, 2, 3, 4)
"""The generations that are known: see above."""

PGZIP_SEGMENT = 1 << 20
"""How much pgzip compresses on its own, where its user does not say."""

UMOCI_SEGMENT = 1 << 18
"""How much it does in umoci up to 0.4.7."""

PGZIP_DICTIONARY = 1 << 14
"""How much before a segment pgzip gives as a dictionary."""

_LONGEST = 258
_FOUND = 4
_REACH = 1 << 15
_TABLE = 1 << 15
# A search does not go on into so many bytes at a chunk's end.
_MARGIN = 11
# Level 5 looks for a better match by what follows only if the one it has is shorter.
_SHORT = 30


class Klauspost(Chunks):
    """Level 5 or 6.

    While a chunk is worked through, all places are indices into the window's `base`.

    Attributes:
        thorough: whether it is level 6.
        pace: a search's step grows by one every `1 << pace` bytes.
        skipped: a match that is found by what follows may begin so many bytes later; -1: none is looked for.
        cut: to which length matches that are too long for a token are cut.
        fours: the last mark for each hash of four bytes.
        sevens: the last two marks for each hash of seven bytes, the later one first.
        data, first, end, cur: what `make` was given.
        last: no match that begins after it is looked for.
        here, there, length: the match that was found, and where the same bytes are.
        ahead: the place that was last looked at, or would be next.
        distance: of the last match.
    """

    def __init__(self, window: Window, level: int, generation: int, segment: int, dictionary: int) -> None:
        """Take memory.

        Args:
            window: the content.
            level: 5 or 6.
            generation: 1 to 4: see above.
            segment: how many bytes of content are compressed on their own; 0 for all.
            dictionary: how many bytes before a segment it may refer to, at most 32768.
        """
        super().__init__(window, segment, dictionary)
        if level not in LEVELS or generation not in GENERATIONS:
            raise ValueError("no such level or generation")
        self.thorough = level == 6
        self.pace = 7 if self.thorough else 6
        self.skipped = -1 if generation == 1 else 2 if generation >= 4 else 0
        self.cut = 255 if generation < 3 else _LONGEST
        self.kept_fours = Words(_TABLE)
        self.kept_sevens = Words(2 * _TABLE)
        self.fours = self.kept_fours.base
        self.sevens = self.kept_sevens.base
        self.tables = [self.kept_fours, self.kept_sevens]
        self.data = self.window.base
        self.first = 0
        self.end = 0
        self.cur = 0
        self.last = 0
        self.here = 0
        self.there = 0
        self.length = 0
        self.ahead = 0
        self.distance = 1

    def make(self, first: int, begin: int, end: int, cur: int) -> int:
        """Decide on a chunk: put tokens into the queue, and enter places into the tables."""
        if end - begin < _MARGIN + 2:
            return 0
        self.first = first
        self.end = end
        self.cur = cur
        self.last = end - _MARGIN
        self.here = begin
        self.done = begin
        self.distance = 1
        while self.search():
            self.lengthen()
            if self.skipped >= 0:
                self.better()
            self.put()
            if self.here >= self.last:
                if self.thorough:
                    self.enter_rest()
                break
            if self.thorough:
                self.enter_all()
            else:
                self.enter_some()
        if self.queued:
            self.put_literals(end)
        return 0

    def search(self) -> int:
        """Find the next match from `here` on; return 0 where there is none.

        `length` is 0 where it has not been measured yet.
        """
        data = self.data
        fours = self.fours
        sevens = self.sevens
        cur = self.cur
        done = self.done
        pace = self.pace
        last = self.last
        ahead = self.here
        eight = load_eight(data, ahead)
        hashed_four = hash_four(eight)
        hashed_seven = 2 * hash_seven(eight)
        while True:
            here = ahead
            ahead = here + 1 + ((here - done) >> pace)
            if ahead > last:
                return 0
            four = low_four(eight)
            candidate = fours[hashed_four] - cur
            later = sevens[hashed_seven] - cur
            earlier = sevens[hashed_seven + 1] - cur
            fours[hashed_four] = here + cur
            sevens[hashed_seven + 1] = sevens[hashed_seven]
            sevens[hashed_seven] = here + cur
            eight = load_eight(data, ahead)
            hashed_four = hash_four(eight)
            hashed_seven = 2 * hash_seven(eight)
            if here - later < _REACH:
                if load_four(data, later) == four:
                    self.found(here, later, 0, ahead)
                    if here - earlier < _REACH and load_four(data, earlier) == four:
                        length = self.measure(here, later)
                        other = self.measure(here, earlier)
                        if other > length:
                            self.found(here, earlier, other, ahead)
                        else:
                            self.length = length
                    break
                if here - earlier < _REACH and load_four(data, earlier) == four:
                    self.found(here, earlier, 0, ahead)
                    break
            if here - candidate < _REACH and load_four(data, candidate) == four:
                self.found(here, candidate, self.measure(here, candidate), ahead)
                self.compare(sevens[hashed_seven] - cur, sevens[hashed_seven + 1] - cur)
                break
        fours[hashed_four] = ahead + cur
        sevens[hashed_seven + 1] = sevens[hashed_seven]
        sevens[hashed_seven] = ahead + cur
        return 1

    def found(self, here: int, there: int, length: int, ahead: int) -> int:
        """Take note of a match."""
        self.here = here
        self.there = there
        self.length = length
        self.ahead = ahead
        return 0

    def measure(self, here: int, there: int) -> int:
        """Return how long a match is, up to the longest that a token can say; its first four bytes are equal."""
        most = min(_LONGEST, self.end - here) - _FOUND
        same: int = same_bytes(self.data, there + _FOUND, here + _FOUND, most)
        return _FOUND + same

    def compare(self, later: int, earlier: int) -> int:
        """Take a longer match than that of the four bytes that was found, if one begins a little later.

        Args:
            later: where the seven bytes at `ahead` may have been last.
            earlier: where they may have been before that.
        """
        data = self.data
        here = self.here
        ahead = self.ahead
        if self.thorough:
            # The distance before, one byte later.
            there = here - self.distance + 1
            if load_four(data, there) == load_four(data, here + 1):
                length = self.measure(here + 1, there)
                if length > self.length:
                    self.found(here + 1, there, length, ahead)
                    return 0
        if ahead - later >= _REACH:
            return 0
        four = load_four(data, ahead)
        if load_four(data, later) == four:
            length = self.measure(ahead, later)
            if length > self.length:
                self.found(ahead, later, length, ahead)
                if not self.thorough:
                    return 0
        if ahead - earlier < _REACH and load_four(data, earlier) == four:
            length = self.measure(ahead, earlier)
            if length > self.length:
                self.found(ahead, earlier, length, ahead)
        return 0

    def lengthen(self) -> int:
        """Measure the match that was found, be it longer than a token can say."""
        if self.length == 0:
            self.length = _FOUND
        elif self.length != _LONGEST:
            return 0
        here = self.here + self.length
        there = self.there + self.length
        self.length += same_bytes(self.data, there, here, self.end - here)
        return 0

    def better(self) -> int:
        """Take a longer match that is found by what follows the match, if there is one."""
        length = self.length
        after = self.here + length
        if after >= self.last or (not self.thorough and length >= _SHORT):
            return 0
        number = 2 * hash_seven(load_eight(self.data, after))
        here = self.here + self.skipped
        back = self.cur + length - self.skipped
        there = self.sevens[number] - back
        if here - there >= _REACH:
            return 0
        self.take_longer(here, there)
        if self.thorough:
            # As much before it as the match is long by now.
            there = self.sevens[number + 1] - back - (self.length - length)
            if here - there < _REACH:
                self.take_longer(here, there)
        return 0

    def take_longer(self, here: int, there: int) -> int:
        """Take a match in place of the one found, if it is longer."""
        if self.first <= there < here:
            length = same_bytes(self.data, there, here, self.end - here)
            if length > self.length:
                self.found(here, there, length, self.ahead)
        return 0

    def put(self) -> int:
        """Put the literals and the match into the queue, once that has grown backwards; go on after it."""
        data = self.data
        here = self.here
        there = self.there
        while there > self.first and here > self.done and data[there - 1] == data[here - 1]:
            here -= 1
            there -= 1
        self.length += self.here - here
        self.distance = here - there
        self.put_literals(here)
        self.put_match(self.length, self.distance, self.cut)
        # What was looked at already is not looked at again.
        self.here = max(self.done, self.ahead + 1)
        return 0

    def enter_some(self) -> int:
        """Level 5: enter about every third place of a match."""
        data = self.data
        cur = self.cur
        stop = self.here - 1
        place = stop - self.length + 2
        if place < stop:
            eight = load_eight(data, place)
            self.enter_four(eight, place + cur)
            self.enter_seven(eight, place + cur)
            self.enter_seven(eight >> 8, place + cur + 1)
            self.enter_four(eight >> 16, place + cur + 2)
            place += 4
            while place < stop:
                eight = load_eight(data, place)
                self.enter_seven(eight, place + cur)
                self.enter_four(eight >> 8, place + cur + 1)
                place += 3
        eight = load_eight(data, stop)
        self.enter_four(eight, stop + cur)
        self.enter_seven(eight, stop + cur)
        return 0

    def enter_all(self) -> int:
        """Level 6: enter all places of a match that were not looked at, every other one by four bytes."""
        data = self.data
        cur = self.cur
        place = self.ahead + 1
        while place < self.here - 1:
            eight = load_eight(data, place)
            self.enter_four(eight, place + cur)
            self.enter_seven(eight, place + cur)
            self.enter_seven(eight >> 8, place + cur + 1)
            place += 2
        return 0

    def enter_rest(self) -> int:
        """Level 6: enter every other place up to the chunk's end."""
        data = self.data
        cur = self.cur
        place = self.ahead + 1
        while place < self.end - 8:
            eight = load_eight(data, place)
            self.enter_four(eight, place + cur)
            self.enter_seven(eight, place + cur)
            place += 2
        return 0

    def enter_four(self, eight: int, mark: int) -> int:
        """Enter a mark by its first four bytes."""
        self.fours[hash_four(eight)] = mark
        return 0

    def enter_seven(self, eight: int, mark: int) -> int:
        """Enter a mark by its first seven bytes."""
        number = 2 * hash_seven(eight)
        self.sevens[number + 1] = self.sevens[number]
        self.sevens[number] = mark
        return 0


def _hash_four(eight: int) -> int:
    return ((eight * 2654435761) & 0xFFFFFFFF) >> 17


def _hash_seven(eight: int) -> int:
    return (((eight << 8) * 58295818150454627) & 0xFFFFFFFFFFFFFFFF) >> 49


if not COMPILED:
    # Compiled, they are C of the same meaning: see klauspost.pxd.
    from .chunks import PURE

    globals().update(PURE, hash_four=_hash_four, hash_seven=_hash_seven)
