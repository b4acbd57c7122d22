"""Inputs that the fuzzer begins with or has found, replayed; and how much memory the worst ones take."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.harness import CORPUS, READERS
from wrapper.oci.documents import MEMORY

SECONDS = 5
INPUTS = sorted(CORPUS.glob("*/*"))

_WORST = '''
import io, json, subprocess, sys, tarfile, tempfile
sys.path.insert(0, {root!r})
from tests.fuzz.harness import READERS
from tests.support.builders import LAYOUT, child, index, manifest, members, tar
from wrapper.oci.documents import DOCUMENT_BYTES, VALUES
kind = {kind!r}

def read(content, program=None):
    # From a file, as users do: that takes no memory.
    with tempfile.NamedTemporaryFile() as file:
        file.write(tar(content) if isinstance(content, list) else content)
        file.flush()
        del content
        words = [sys.executable, "-c", program or READ, file.name]
        ran = subprocess.run(words, check=True, capture_output=True, text=True)
        print(ran.stdout)
        sys.exit()

READ = """
import sys
sys.path.insert(0, {root!r})
from wrapper.archive.documents import read_contents
from wrapper.archive.reader import Archive
from wrapper.archive.summary import describe
from wrapper.errors import IncrementalError
try:
    with Archive.open(sys.argv[1]) as found:
        describe(read_contents(found), found.read_blob)
except IncrementalError as error:
    print(error, file=sys.stderr)
print([int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""
RECEIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from wrapper.errors import IncrementalError
from wrapper.source.ledger import RECEIPT, read_ledger
try:
    read_ledger(Path(sys.argv[1]), RECEIPT).of_use("team/app", in_bundle=True)
except IncrementalError as error:
    print(error, file=sys.stderr)
print([int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""

def receipt(**image):
    part = {{"digest": digest, "media_type": "x", "platform": None, "manifests": [], "layers": []}} | image
    said = {{"receipt": "1", "destination": "x", "date": "x", "version": "x", "images": [part]}}
    return json.dumps(said, ensure_ascii=False).encode()

digest = "sha256:" + "0" * 64
if kind == "values":
    READERS["manifest"](b'{{"a":[' + b"[]," * (VALUES + 10) + b"[]]}}")
elif kind == "keys":
    READERS["manifest"](json.dumps({{str(number): number for number in range(190_000)}}).encode())
elif kind == "layers":
    part = '{{"mediaType":"application/x","digest":"sha256:%064d","size":1}}'
    layers = ",".join(part % number for number in range(34_000))
    raw = '{{"schemaVersion":2,"config":%s,"layers":[%s]}}' % (part % 99_999, layers)
    assert len(raw) < DOCUMENT_BYTES, len(raw)
    READERS["manifest"](raw.encode())
elif kind == "text":
    READERS["manifest"](b'{{"schemaVersion":2,"a":"' + b"x" * (DOCUMENT_BYTES - 30) + b'"}}')
elif kind == "members":
    READERS["archive"](tar([("x%d" % number, b"") for number in range(300_000)]))
elif kind == "long names":
    READERS["archive"](tar([("x" * 50_000 + str(number), b"") for number in range(300)]))
elif kind == "manifests":
    many = [manifest(*(b"%d-%d" % (image, layer) for layer in range(10_000))) for image in range(24)]
    read(members(b"{{}}", images=many))
elif kind == "noted":
    long = {{str(number): "x" * 990 for number in range(1_000)}}
    many = [manifest(b"%d" % image, annotations=long) for image in range(64)]
    read(members(b"{{}}", images=many))
elif kind == "left out":
    omitted = {{"sha256:%064d" % layer: ["sha256:%064d" % base for base in range(3)] for layer in range(79_000)}}
    said = {{"format": "1", "requires": "", "bases": "", "omitted": json.dumps(omitted, separators=(",", ":"))}}
    said = {{"io.skopeo-incremental." + name: text for name, text in said.items()}}
    read(members(b"{{}}", images=[manifest()], annotations=said))
elif kind == "a name":
    image = manifest()
    said = {{"org.opencontainers.image.ref.name": "\\x01" * 3_800_000}}
    ours = {{"io.skopeo-incremental.bundle": "1", "io.skopeo-incremental.format": "1"}}
    raw = index(child(image, annotations=said), annotations=ours)
    read([("oci-layout", LAYOUT), ("index.json", raw), *members(b"{{}}", images=[image])[2:]])
elif kind == "a receipt's name":
    read(receipt(name="\\x7f" * 25_000_000), RECEIPT)
elif kind == "a receipt's digest":
    read(receipt(digest="\\x7f" * 25_000_000), RECEIPT)
elif kind == "a receipt's layers":
    read(receipt(layers="\\x7f" * 25_000_000), RECEIPT)
elif kind == "entries":
    raw = index(*(child(b"%d" % number) for number in range(90_000)))
    read([("oci-layout", LAYOUT), ("index.json", raw)])
print([int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
'''


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_kept_inputs(path: Path) -> None:
    begun = time.process_time()
    READERS[path.parent.name](path.read_bytes())
    assert time.process_time() - begun < SECONDS


def test_there_are_inputs() -> None:
    assert {path.parent.name for path in INPUTS} == set(READERS)


@pytest.mark.parametrize(
    "kind",
    [
        "values",
        "keys",
        "layers",
        "text",
        "members",
        "long names",
        "manifests",
        "noted",
        "left out",
        "entries",
        "a name",
        "a receipt's name",
        "a receipt's digest",
        "a receipt's layers",
    ],
)
def test_the_worst_inputs_keep_to_the_bound(kind: str) -> None:
    """In a process of its own: the most that it ever had is what it had for this one input."""
    root = str(Path(__file__).parents[2])
    program = _WORST.format(root=root, kind=kind)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    # The archives above lie in memory themselves, which a file would not.
    own = 160 * 1024 * 1024 if kind in ("members", "long names") else 0
    assert int(ran.stdout) - own < MEMORY
