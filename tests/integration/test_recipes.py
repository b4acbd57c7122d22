"""The pages that say how to do something: their commands run as they stand there.

Hosts are `*.example`: a proxy leads them to registries of the page's own, which speak TLS and have what `fill` puts
there. How a page says what runs: `tests/support/recipes.py`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import make_certificates
from tests.support.images import layer, platform, put_image, put_list
from tests.support.recipes import Block, blocks_of, compare, run
from tests.support.registry import Registry, free_port
from tests.support.tool import ROOT
from tests.support.tunnel import Tunnel
from tests.support.world import files, zipped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.images import Image
    from tests.support.tool import Tool

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/tutorial/*.md")), *sorted(ROOT.glob("docs/how-to/*.md"))]
VENDOR = ("vendor.example", "hub.example")
SITES = ("registry.customer.example", "registry.site.example", "registry.berlin.example", "registry.oslo.example")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificates(tmp_path_factory.mktemp("certificates"), names=(*VENDOR, *SITES))


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, certificates: tuple[Path, Path]) -> Path:
    """What registries keep at first: the vendor releases 1 to 3, the sites release 1, also under `mirror/`."""
    folder = tmp_path_factory.mktemp("filled")
    for name, releases in ("vendor", "123"), ("site", "1"):
        registry = Registry(folder / name, tls=certificates).start()
        fill(registry, releases)
        if name == "site":
            fill(registry, releases, "mirror/")
        registry.stop()
    return folder


@pytest.fixture
def hosts(tmp_path: Path, filled: Path, certificates: tuple[Path, Path]) -> Iterator[Tunnel]:
    """The way to a vendor and to sites that no other page has seen."""
    shutil.copytree(filled, tmp_path / "registries")
    vendor, site = (
        Registry(tmp_path / "registries" / name, tls=certificates).start() for name in ("vendor", "site")
    )
    with Tunnel(dict.fromkeys(VENDOR, vendor.host) | dict.fromkeys(SITES, site.host)) as tunnel:
        yield tunnel
    vendor.stop()
    site.stop()


def fill(registry: Registry, releases: str, prefix: str = "") -> None:
    """Put releases of three images and a chart."""
    system = zipped(files("system", 1))
    for release in releases:
        changing = zipped({**files("app"), "version": f"release {release}".encode() * 50})
        app = put_image(registry, f"{prefix}team/app", release, [system, changing])
        if release == "2":
            signature = f"{app.digest.replace(':', '-')}.sig"
            put_image(registry, f"{prefix}team/app", signature, [b"signed"], layer_types=["text/plain"])
        put_image(registry, f"{prefix}team/worker", release, [system, layer(f"worker{release}")])
        put_image(registry, f"{prefix}charts/app", release, [layer(f"chart{release}")])
        leaves = [
            (leaf(registry, f"{prefix}team/tools", cpu, release), platform(cpu)) for cpu in ("amd64", "arm64")
        ]
        put_list(registry, f"{prefix}team/tools", release, leaves)


def leaf(registry: Registry, repository: str, cpu: str, release: str) -> Image:
    return put_image(registry, repository, None, [layer(f"{cpu}"), layer(f"{cpu}{release}")], arch=cpu)


@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem) for page in PAGES])
def test_the_commands_of_a_page(
    page: Path, hosts: Tunnel, certificates: tuple[Path, Path], tool: Tool, tmp_path: Path
) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    # Some scripts are run from a checkout.
    (folder / "scripts").symlink_to(ROOT / "scripts")
    environment = tool.environment | {
        "HTTPS_PROXY": hosts.url,
        "PATH": f"{Path(sys.executable).parent}:{tool.environment['PATH']}",
        "SSL_CERT_FILE": str(certificates[0].parent / "ca.crt"),
    }
    blocks = blocks_of(page)
    for block in blocks:
        # Servers that a page starts listen where nobody else does.
        for port in ("5001", "5002"):
            block.text = block.text.replace(f"localhost:{port}", PORTS[port])
    try:
        run(blocks, folder, environment)
    finally:
        # gpg starts an agent, which outlives whoever started it.
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=False)


PORTS = {port: f"localhost:{free_port()}" for port in ("5001", "5002")}


def test_what_a_page_expects(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\necho 12 apples; echo pears\n```\nIt prints\n\n```text\n1 apples\n```\n"
        "\n```sh\necho 3 plums\n```\n\n```text\n4 plums\n```\n"
        "<!-- skip: it needs a cluster -->\n```sh\nfalse\n```\n```yaml\na: b\n```\n"
    )
    first, second = blocks_of(page)
    assert (first.expected, second.expected) == ("", "4 plums\n")
    run([first, second], tmp_path, {"PATH": "/usr/bin:/bin"})
    with pytest.raises(AssertionError, match="not printed: b"):
        compare("a\nb\n", "b\na\n")
    with pytest.raises(AssertionError):
        run([Block("sh", "false")], tmp_path, {"PATH": "/usr/bin:/bin"})
