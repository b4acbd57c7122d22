"""Runs atheris over one reader: python -m tests.fuzz.fuzz READER [LIBFUZZER-ARGUMENT...]"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["wrapper", "tarfile", "json"]):
    from tests.fuzz.harness import READERS


def main() -> None:
    reader = READERS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, reader)
    atheris.Fuzz()


main()
