"""Files that editors and shells of Windows wrote: they begin with a mark of their byte order."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import pytest

from wrapper.errors import ContentError, UsageError
from wrapper.source.discovered import read_discovered
from wrapper.source.spec import read_spec

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "sha256:" + "a" * 64
MARKED = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}


@pytest.mark.parametrize("encoding", MARKED)
def test_a_mark_is_no_part_of_a_document(tmp_path: Path, encoding: str) -> None:
    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_bytes(MARKED[encoding] + text.replace("\n", "\r\n").encode(encoding))
        return tmp_path / name

    image = '{"name": "a/b:1", "final": "h.example/a:1"}'
    (in_json,) = read_spec(write("s.json", f'{{"images":\n[{image}]}}\n'))
    (in_yaml,) = read_spec(write("s.yaml", f"images:\n- {image}\n"))
    assert in_json == in_yaml
    assert read_discovered(write("r.json", f'{{"manifests":\n[{{"digest": "{DIGEST}"}}]}}\n')) == (DIGEST,)
    tree = f"📦 Supply Chain Security Related artifacts\n└── 🔗 x artifacts via OCI referrer: h/a@{DIGEST}\n"
    assert read_discovered(write("r.txt", tree)) == (DIGEST,)


def test_what_a_mark_does_not_stand_for_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(codecs.BOM_UTF16_LE + b"{\0}")
    with pytest.raises(UsageError, match="not even text"):
        read_spec(path)
    with pytest.raises(ContentError, match="not valid JSON"):
        read_discovered(path)
