from __future__ import annotations

import json
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from wrapper.errors import UsageError
from wrapper.oci.reference import Reference
from wrapper.source.growing import growing, read_if_there
from wrapper.source.ledger import SENT, LedgerImage
from wrapper.source.receipt import earlier_receipt

if TYPE_CHECKING:
    from pathlib import Path


def image(name: str) -> LedgerImage:
    return LedgerImage(f"sha256:{'0' * 64}", None, f"docker://vendor.example/{name}:1", "", {})


def test_two_runs_that_add_at_the_same_time(tmp_path: Path) -> None:
    path, is_open = tmp_path / "sent.json", Event()

    def add_another() -> None:
        with growing(path, SENT) as ledger:
            is_open.set()
            ledger.add([image("two")])

    other = Thread(target=add_another)
    with growing(path, SENT) as ledger:
        ledger.add([image("one")])
        other.start()
        assert is_open.wait(60)
        # It waits for this one. Without that it would be done by now, and what it has added lost.
        other.join(0.3)
    other.join(60)
    found = read_if_there(path, SENT)
    assert found
    assert [each.reference for each in found.images] == [image(name).reference for name in ("two", "one")]
    assert [each.name for each in tmp_path.iterdir()] == ["sent.json"]


def receipt_of(path: Path, destination: str) -> Path:
    layer = {"digest": f"sha256:{'0' * 64}", "media_type": "x", "size": 1}
    about = {"media_type": "x", "platform": None, "manifests": [], "layers": [layer]}
    images = [{"digest": layer["digest"], **about}]
    said = {"receipt": "1", "destination": destination, "date": "x", "version": "x", "images": images}
    path.write_text(json.dumps(said))
    return path


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("docker://library/app:1", "docker://docker.io/team/app:1"),
        ("docker://team/app:1", "docker://other/app"),
        ("docker://h.example:5000", "docker://h.example:5000/team/app:1"),
        ("docker://localhost/a", "docker://localhost/b"),
        ("oci:a:1", "oci:./a:2"),
        ("containers-storage:[vfs@/s]a:1", "containers-storage:[vfs@/s]b:1"),
    ],
)
def test_one_place_by_several_names(tmp_path: Path, before: str, now: str) -> None:
    assert earlier_receipt(receipt_of(tmp_path / "r.json", before), Reference.parse(now))


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("docker://team/app:1", "docker://team.example/app:1"),
        ("docker://h.example:5000/a", "docker://h.example/a"),
        ("oci:a:1", "oci:b:1"),
        ("oci:a:1", "docker://a/a:1"),
    ],
)
def test_another_place(tmp_path: Path, before: str, now: str) -> None:
    with pytest.raises(UsageError, match="is the receipt of"):
        earlier_receipt(receipt_of(tmp_path / "r.json", before), Reference.parse(now))
