"""A folder that replaces another one: whatever happens between, the old one is not lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrapper import Access
from wrapper.oci.reference import Reference
from wrapper.push.folder import FolderDestination


class KilledError(BaseException):
    pass


def test_an_old_folder_outlives_a_kill_and_comes_back_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, staging = tmp_path / "image", tmp_path / "skopeo-incremental-0123456789abcdef"
    for folder, text in ((place, "old"), (staging / "new", "new")):
        folder.mkdir(parents=True)
        (folder / "version").write_text("Directory Transport Version: 1.1\n")
        (folder / "manifest.json").write_text(text)
    destination = FolderDestination(Reference("dir", str(place)), Access(), preserve=True)
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name == "new":
            # What a kill would leave: not in a folder that the next run removes.
            (aside,) = tmp_path.glob("image.*.replaced")
            assert (aside / "manifest.json").read_text() == "old"
            raise KilledError
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(KilledError):
        destination._swap(staging / "new", staging / "old")
    assert (place / "manifest.json").read_text() == "old"
    monkeypatch.undo()
    destination._swap(staging / "new", staging / "old")
    assert (place / "manifest.json").read_text() == "new"
    assert (staging / "old/manifest.json").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image", staging.name]
