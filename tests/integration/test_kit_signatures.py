"""Who signed a kit: what gpg calls good is not good enough."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.kits import Keys, bring, export, script
from tests.support.tool import ROOT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.release import Release

OLD = "20200101T000000"


@pytest.fixture
def keys(release: Release) -> Iterator[Keys]:
    """The vendor's keys: `ours` is good, `lost` was revoked after it had signed, `old` has expired."""
    keys = Keys(release.tool.home / "g")
    keys.make("ours")
    keys.make("lost")
    keys.make("old", expires="2y", at=OLD)
    yield keys
    keys.close()


def revoke(keys: Keys) -> None:
    keys("--import", keys.revocation("lost"))


def verdicts(release: Release, kit: Path, keys: Keys, keyring: bytes) -> list[subprocess.CompletedProcess[str]]:
    """What the import says with a keyring, and without one where gpg has these keys."""
    file = release.tool.home / "keys.gpg"
    file.write_bytes(keyring)
    return [
        bring(release, kit, "--keyring", file, "--check"),
        bring(release, kit, "--check", GNUPGHOME=str(keys.folder)),
    ]


def test_signatures(release: Release, keys: Keys) -> None:
    theirs = Keys(release.tool.home / "t")
    theirs.make("theirs")
    theirs.close()
    ran = script(release, ROOT / "scripts/airgap-export", release.spec("1"), "kit", "--sign", "nobody")
    assert ran.returncode == 2
    assert not (release.tool.home / "kit").exists()
    kit = export(release, "--sign", "ours", GNUPGHOME=str(keys.folder))
    assert "gpgv --status-fd 1 --keyring" in (kit / "README.txt").read_text()
    home = release.tool.home
    (home / "ours.gpg").write_bytes(keys.export("ours"))
    (home / "ours.asc").write_bytes(keys.export("ours", armored=True))
    (home / "theirs.gpg").write_bytes(theirs.export("theirs"))
    (home / "none.gpg").write_bytes(b"no key")
    watch = release.customer.watch()
    # Nobody whom gpg knows has signed it.
    for options, gnupg in ((("--keyring", home / "theirs.gpg"), keys), ((), theirs)):
        ran = bring(release, kit, *options, GNUPGHOME=str(gnupg.folder))
        assert ran.returncode == 4
        assert "SHA256SUMS.asc" in ran.stderr
        assert keys.fingerprint("ours") in ran.stderr
    assert bring(release, kit, "--keyring", home / "none.gpg").returncode == 2
    sums = (kit / "SHA256SUMS").read_text()
    (kit / "SHA256SUMS").write_text(sums.replace("README.txt", "README.tx"))
    ran = bring(release, kit, "--keyring", home / "ours.gpg")
    assert ran.returncode == 4
    assert "not what ours signed" in ran.stderr
    (kit / "SHA256SUMS").write_text(sums)
    signature = (kit / "SHA256SUMS.asc").rename(home / "away")
    assert bring(release, kit, "--keyring", home / "ours.gpg").returncode == 4
    signature.rename(kit / "SHA256SUMS.asc")
    assert watch.requests() == []
    for keyring in ("ours.gpg", "ours.asc"):
        ran = bring(release, kit, "--keyring", home / keyring, "--check")
        assert ran.returncode == 0, ran.stderr
        assert f"signed by ours, key {keys.fingerprint('ours')}" in ran.stderr
    assert bring(release, kit, GNUPGHOME=str(keys.folder)).returncode == 0
    assert release.arrived("1")


def test_a_key_that_was_revoked_or_has_expired_signs_nothing(release: Release, keys: Keys) -> None:
    kit = export(release)
    before = keys.export("lost")
    keys.sign(kit, "lost")
    assert [ran.returncode for ran in verdicts(release, kit, keys, before)] == [0, 0]
    certificate = keys("--dearmor", "--output", "-", keys.revocation("lost"))
    armored = keys.export("lost", armored=True) + keys.revocation("lost").read_bytes()
    revoke(keys)
    # Wherever the revocation stands in the keyring.
    for keyring in (
        keys.export("lost"),
        keys.export("ours", "lost"),
        before + keys.export("lost"),
        before + certificate,
        certificate + before,
        armored,
    ):
        for ran in verdicts(release, kit, keys, keyring):
            assert ran.returncode == 4, ran.stderr
            assert "revoked" in ran.stderr
            assert keys.fingerprint("lost") in ran.stderr
            assert "good signature from" not in ran.stderr.lower()
    keys.sign(kit, "old", at=OLD)
    for ran in verdicts(release, kit, keys, keys.export("old")):
        assert ran.returncode == 4, ran.stderr
        assert "old has expired" in ran.stderr
        assert keys.fingerprint("old") in ran.stderr


def test_what_else_is_no_good_signature(release: Release, keys: Keys) -> None:
    kit = export(release)
    good = keys.export("ours")

    def refused(*words: str, keyring: bytes = good) -> None:
        for ran in verdicts(release, kit, keys, keyring):
            assert ran.returncode == 4, ran.stderr
            for word in words:
                assert word in ran.stderr

    keys.sign(kit, "ours", options=("--default-sig-expire", "1d", "--detach-sign"))
    assert all(ran.returncode == 0 for ran in verdicts(release, kit, keys, good))
    keys.make("early", at=OLD)
    keys.sign(kit, "early", options=("--default-sig-expire", "1d", "--detach-sign"), at=OLD)
    refused("the signature of early has expired", keyring=keys.export("early"))
    # Something else that they signed, and that carries its own text.
    for form in ("--sign", "--clear-sign"):
        keys.sign(kit, "ours", options=(form,))
        refused("SHA256SUMS.asc", "not a detached signature")
    (kit / "SHA256SUMS.asc").write_text("good\n")
    refused("SHA256SUMS.asc")
    # A key that the user distrusts.
    keys.sign(kit, "ours")
    (keys.folder / "gpg.conf").write_text("trust-model direct\n")
    trust = release.tool.home / "trust"
    trust.write_text(f"{keys.fingerprint('ours')}:3:\n")
    keys("--import-ownertrust", trust)
    ran = bring(release, kit, "--check", GNUPGHOME=str(keys.folder))
    assert ran.returncode == 4
    assert "never to be trusted" in ran.stderr


def test_of_several_signatures_each_must_be_good(release: Release, keys: Keys) -> None:
    kit = export(release)
    keys.make("second")
    keys.sign(kit, "ours", "second")
    for ran in verdicts(release, kit, keys, keys.export("ours", "second")):
        assert ran.returncode == 0, ran.stderr
        for name in ("ours", "second"):
            assert f"signed by {name}, key {keys.fingerprint(name)}" in ran.stderr
    # One that is not known here.
    assert verdicts(release, kit, keys, keys.export("ours"))[0].returncode == 4
    keys.sign(kit, "ours", "lost")
    revoke(keys)
    for ran in verdicts(release, kit, keys, keys.export("ours", "lost")):
        assert ran.returncode == 4
        assert "revoked" in ran.stderr


def test_without_gpg_gpgv_judges(release: Release, keys: Keys) -> None:
    kit = export(release)
    programs = release.tool.home / "bin"
    programs.mkdir()
    for folder in ("/usr/bin", "/bin"):
        for name in (
            *(
                "awk",
                "cat",
                "cp",
                "cut",
                "dash",
                "dirname",
                "find",
                "gpgv",
                "grep",
                "head",
                "mkdir",
                "mktemp",
                "od",
            ),
            *("rm", "sed", "sha256sum", "skopeo", "sort", "tr", "uniq", "wc"),
        ):
            found = shutil.which(name, path=folder)
            if found and not (programs / name).exists():
                (programs / name).symlink_to(found)
    file = release.tool.home / "keys.gpg"
    before = keys.export("ours", "lost", "old")
    for name, words, code in (
        ("ours", keys.fingerprint("ours"), 0),
        ("lost", "revoked", 4),
        ("old", "has expired", 4),
    ):
        keys.sign(kit, name, at=OLD if name == "old" else "")
        file.write_bytes(before)
        if name == "lost":
            revoke(keys)
            file.write_bytes(keys.export("ours", "lost", "old"))
        ran = bring(release, kit, "--keyring", file, "--check", PATH=str(programs))
        assert ran.returncode == code, ran.stderr
        assert words in ran.stderr
    file.write_bytes(keys.export("ours", armored=True))
    ran = bring(release, kit, "--keyring", file, "--check", PATH=str(programs))
    assert ran.returncode == 6
    assert "--armor" in ran.stderr
