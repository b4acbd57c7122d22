"""Kits: the scripts that people run, and keys of real gpg that sign what they make."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

from tests.support.tool import PLAIN_DEST, PLAIN_PULL, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.release import Release


def environment(release: Release, **more: str) -> dict[str, str]:
    return {
        **release.tool.environment,
        "SKOPEO_INCREMENTAL": str(release.tool.program),
        "PYTHONPATH": str(ROOT),
        **more,
    }


def script(
    release: Release, *words: str | Path, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["dash", *map(str, words)],
        cwd=cwd or release.tool.home,
        env=environment(release, **more),
        capture_output=True,
        text=True,
        check=False,
    )


def by_command(
    release: Release, *words: str | Path, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run `kit`: the same by the installed program, which nothing else names."""
    return subprocess.run(
        [release.tool.program, "kit", *map(str, words)],
        cwd=cwd or release.tool.home,
        env=environment(release, SKOPEO_INCREMENTAL="") | more,
        capture_output=True,
        text=True,
        check=False,
    )


def export(release: Release, *options: str | Path, tag: str = "1", **more: str) -> Path:
    kit = release.tool.home / f"kit-{tag}"
    words = (ROOT / "scripts/airgap-export", release.spec(tag), kit, *options, "--jobs", "2", *PLAIN_PULL)
    ran = script(release, *words, **more)
    assert ran.returncode == 0, ran.stderr
    return kit


def bring(
    release: Release, kit: Path, *options: str | Path, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    where = f"docker://{release.customer.host}/{release.prefix}"
    return script(release, kit / "airgap-import", kit, where, *options, *PLAIN_DEST, cwd=cwd, **more)


def list_again(kit: Path) -> None:
    """Make SHA256SUMS anew, as whoever made the kit would."""
    names = sorted(
        str(path.relative_to(kit))
        for path in kit.rglob("*")
        if path.is_file() and not path.name.startswith("SHA256SUMS")
    )
    sums = [f"{hashlib.sha256((kit / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (kit / "SHA256SUMS").write_text("".join(sums))


class Keys:
    """Somebody's folder of gpg, with the keys that they made."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder

    def __call__(self, *words: str | Path, at: str = "") -> bytes:
        """Run gpg, at some other time where that is wanted, such as `20200101T000000`."""
        time = ["--faked-system-time", f"{at}!"] if at else []
        command = ["gpg", "--homedir", self.folder, "--batch", "--yes", "--passphrase", "", *time, *words]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def make(self, name: str, expires: str = "never", at: str = "") -> None:
        self("--quick-gen-key", name, "ed25519", "sign", expires, at=at)

    def fingerprint(self, name: str) -> str:
        lines = self("--list-keys", "--with-colons", name).decode().splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))

    def revocation(self, name: str) -> Path:
        """Return what revokes a key, as gpg made it beside the key."""
        kept = self.folder / "openpgp-revocs.d" / f"{self.fingerprint(name)}.rev"
        ready = self.folder / f"{name}.rev"
        ready.write_text(kept.read_text().replace("\n:-----BEGIN", "\n-----BEGIN"))
        return ready

    def export(self, *names: str, armored: bool = False) -> bytes:
        return self(*(["--armor"] if armored else []), "--export", *names)

    def sign(self, kit: Path, *names: str, options: tuple[str, ...] = ("--detach-sign",), at: str = "") -> None:
        users = [word for name in names for word in ("--local-user", name)]
        self(*users, "--armor", "--output", kit / "SHA256SUMS.asc", *options, kit / "SHA256SUMS", at=at)

    def close(self) -> None:
        """End the agent that gpg started."""
        subprocess.run(["gpgconf", "--homedir", self.folder, "--kill", "all"], check=False)
