"""A gzip stream, parsed whole by the product's parser."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from wrapper.delta import inflate, window


@dataclass
class Member:
    """What one gzip member is made of."""

    header: bytes
    begin: int
    blocks: list[Any] = field(default_factory=list)
    tokens: list[list[int]] = field(default_factory=list)
    padding: int = 0
    trailer: bytes = b""
    end: int = 0


@dataclass
class Parsed:
    """Content, and members with tokens by block: a literal is its byte."""

    content: bytes
    members: list[Member]
    rest: bytes = b""


def parse(data: bytes, module: Any = inflate, windows: Any = window, piece: int = 1 << 16) -> Parsed:
    source = io.BytesIO(data)
    content = bytearray()
    held = windows.Window(1 << 18)
    inflater = module.Inflater(lambda count: source.read(min(count, piece)), held, 1 << 10)
    members: list[Member] = []
    rest = b""
    while True:
        event = inflater.step()
        if event == module.FINISHED:
            return Parsed(bytes(content), members, rest)
        if event == module.BEGIN:
            members.append(Member(inflater.header, len(content)))
        elif event == module.BLOCK:
            members[-1].blocks.append(inflater.block)
            members[-1].tokens.append([])
        elif event in (module.MORE, module.DONE):
            new = inflater.take()
            members[-1].tokens[-1] += new
            content += held.slice(len(content), held.end)
            held.forget(held.end - (1 << 15))
        elif event == module.TRAILER:
            members[-1].padding, members[-1].trailer = inflater.padding, inflater.trailer
            members[-1].end = len(content)
        elif event == module.REST:
            rest += inflater.rest
