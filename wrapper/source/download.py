"""Fetching the layers that no base has: from the cache, else by skopeo, again where the link fails.

A layer goes into the archive as soon as it is whole; a placeholder in its place tells skopeo that it is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..errors import BusyError, LinkError
from ..host.space import INCREDIBLE
from ..oci.layout import Layout
from ..oci.manifest import Index
from ..skopeo.options import preserve_flags

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from ..host.progress import Progress
    from ..oci.manifest import FetchedManifest
    from ..skopeo.inspect import ImageSource
    from ..skopeo.runner import Skopeo
    from .cache import Cache

_AT_RISK = 10
_WORTH_A_RUN = 16
_ANSWERS = 8192
_SLACK = 1 << 20
_DOCUMENTS = 8 << 20
_INSIDE_A_LAYER = (
    "only skopeo 1.10 or newer can continue inside a layer after a cut; an older one starts that layer again: "
    "doctor shows the version"
)


class LayerSink(Protocol):
    """Where layers go as they arrive, such as an `ArchiveWriter`."""

    def lacks(self, digest: str) -> bool:
        """Say whether a layer is wanted, and is not there yet."""

    def add(self, digest: str, source: Path) -> None:
        """Take a layer, whose file then goes."""


class Download:
    """Fills a layout with what skopeo fetches.

    Where the link is known to be bad, which is where retries are wanted, layers are fetched in portions: skopeo
    fetches six layers at once, and a cut costs it all that it has of each. The layers of a later portion are
    placeholders until it is their turn. A portion is a tenth of what came through since the last cut, or one layer.
    """

    def __init__(
        self,
        skopeo: Skopeo,
        layout: Layout,
        preserve: bool,
        cache: Cache | None,
        report: Progress,
        *,
        remove_signatures: bool = False,
        writer: LayerSink | None = None,
        staying: Collection[str] = (),
        phase: str = "fetching",
    ) -> None:
        """Prepare; nothing is fetched yet.

        Args:
            skopeo: an entered `Skopeo`.
            layout: where to; it holds placeholders for the layers that are omitted.
            preserve: whether digests stay as they are; else skopeo may convert the image.
            cache: where layers come from and are kept.
            report: is told each step.
            remove_signatures: leave behind signatures that skopeo finds and a layout can't hold.
            writer: the archive that layers go to; without one they stay in the layout.
            staying: digests of blobs that stay in any case: they are also read as configs or manifests.
            phase: which phase of the operation its bytes count for.
        """
        self._skopeo = skopeo
        self._layout = layout
        self._preserve = preserve
        self._signatures = ["--remove-signatures"] if remove_signatures else []
        self._cache = cache
        self._report = report
        self._writer = writer
        self._staying = staying
        self._phase = phase
        self._packed: set[str] = set()
        self._since_cut = 0
        self._one_layer = False

    def __enter__(self) -> Download:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the placeholders of what was packed."""
        for digest in self._packed:
            self._layout.blob(digest).unlink(missing_ok=True)

    def fetch_cached(self, layers: Mapping[str, int]) -> None:
        """Fetch from the cache what it has of `layers`: digest and size in bytes."""
        if not self._cache:
            return
        taken = [digest for digest in layers if self._cache.get(digest, self._layout.blob(digest))]
        if taken:
            total = sum(layers[digest] for digest in taken)
            self._report(f"{len(taken)} of {len(layers)} layers ({total} bytes) come from the cache")
        for digest in taken:
            self._pack(digest, layers[digest])
            self._report.add(self._phase, layers[digest])

    def fetch(
        self,
        source: ImageSource,
        node: FetchedManifest,
        layers: Mapping[str, int],
        config_size: int,
        name: str = "",
    ) -> str:
        """Fetch one manifest with its config and layers.

        Args:
            source: where the image is.
            node: the manifest; or a list, where digests are not preserved.
            layers: digest and size in bytes of the layers that are not omitted.
            config_size: size of the config in bytes: skopeo fetches it every time.
            name: what people call the image, where there are several.

        Returns:
            The digest of what is in the layout then.

        Raises:
            IncrementalError: something can't be fetched.
        """
        platform = f" ({node.platform})" if node.platform else ""
        pinned = source.reference.pinned(node.digest)
        self._report.begin(self._phase, name or str(source.reference), f"{self._phase} {pinned}{platform}")
        attempts = self._skopeo.retries.begin()
        overhead = node.size + config_size + _ANSWERS
        while True:
            absent = {digest: size for digest, size in layers.items() if not self._layout.blob(digest).exists()}
            portion = self._portion(absent, overhead)
            later = {digest: size for digest, size in absent.items() if digest not in portion}
            try:
                with self._layout.placeholders(later):
                    digest = self._copy(source, node, portion, _most_bytes(node, portion, overhead))
            except LinkError as error:
                self._since_cut = 0
                if any(self._layout.blob(digest).exists() for digest in portion):
                    attempts.progressed()
                several = len(portion) > 1 or self._skopeo.copies > 1
                if several and not self._one_layer and isinstance(error, BusyError):
                    # skopeo asks for six layers at a time, until there is only one to ask for.
                    self._one_layer = True
                    self._skopeo.slow_down(error, alone=False)
                    continue
                try:
                    attempts.wait_after(error)
                except BusyError:
                    raise
                except LinkError as last:
                    raise type(last)(last.message, f"{last.next_step}; {_INSIDE_A_LAYER}") from error
                continue
            if not later:
                return digest
            self._since_cut += sum(portion.values())

    def _portion(self, absent: Mapping[str, int], overhead: int) -> Mapping[str, int]:
        if not (self._skopeo.retries.times or self._one_layer) or not self._preserve:
            return absent
        room = 0 if self._one_layer else max(self._since_cut // _AT_RISK, overhead * _WORTH_A_RUN)
        portion: dict[str, int] = {}
        for digest, size in absent.items():
            if portion and size > room:
                break
            room -= size
            portion[digest] = size
        return portion

    def _copy(self, source: ImageSource, node: FetchedManifest, portion: Mapping[str, int], most: int) -> str:
        access, pinned = source.access, source.reference.pinned(node.digest)
        flags = [*preserve_flags(self._preserve), *self._signatures]
        flags += access.flags(source.reference, self._skopeo.auth_files, "src-")
        if not self._preserve and isinstance(node.parsed, Index):
            flags.append("--all")
        rest = dict(portion)
        before = self._layout.bytes_written()
        share = self._report.share(self._phase, sum(portion.values()))

        def settle() -> None:
            # skopeo has verified what it has renamed; placeholders are never in a portion.
            for digest in [each for each in rest if self._layout.blob(each).exists()]:
                if self._cache:
                    self._cache.put(digest, self._layout.blob(digest))
                self._pack(digest, rest.pop(digest))

        try:
            return self._skopeo.copy(
                str(pinned),
                f"oci:{self._layout.folder.name}",
                flags=flags,
                policy=access.policy_flags(),
                doing=f"cannot fetch {pinned}",
                side=source.side,
                access=access,
                moved=lambda: self._layout.bytes_written() - before,
                most=most,
                tick=settle if self._cache or self._writer else None,
                share=share,
            )
        finally:
            settle()
            # What arrives in part is lost.
            share.at(sum(portion.values()) - sum(rest.values()))

    def _pack(self, digest: str, size: int) -> None:
        if self._writer and self._writer.lacks(digest) and digest not in self._staying:
            self._writer.add(digest, self._layout.blob(digest))
            self._layout.replace_by_placeholder(digest, size)
            self._packed.add(digest)


def _most_bytes(node: FetchedManifest, portion: Mapping[str, int], overhead: int) -> int:
    """Return how many bytes a fetch may write, in bytes: a registry's answer may have no end.

    Args:
        node: the manifest; or a list, where skopeo may convert what it fetches.
        portion: digest and size in bytes of the layers.
        overhead: what the manifest and the config take, in bytes.
    """
    # Nobody sends what no file can hold.
    sizes = {digest: size for digest, size in portion.items() if size < INCREDIBLE}
    if isinstance(node.parsed, Index):
        # A layer may be in two of its images, and each has a manifest and a config, which skopeo bounds.
        return 2 * sum(sizes.values()) + len(node.parsed.manifests) * _DOCUMENTS + overhead + _SLACK
    # skopeo fetches a layer that a manifest lists twice two times, and at once.
    layers = sum(sizes.get(layer.digest, 0) for layer in node.manifest.layers)
    return layers + layers // 64 + overhead + _SLACK


def fetch_alone(
    skopeo: Skopeo,
    begin: Callable[[Layout], Download],
    source: ImageSource,
    leaf: FetchedManifest,
    wanted: Mapping[str, int],
    name: str = "",
) -> Layout:
    """Fetch a manifest and some of its layers into a layout of its own.

    Args:
        skopeo: an entered `Skopeo`.
        begin: makes the `Download` into that layout.
        source: where the image is.
        leaf: the manifest.
        wanted: digest and size in bytes of the layers; placeholders stand for the others meanwhile.
        name: what people call the image, where there are several.

    Raises:
        IncrementalError: something can't be fetched.
    """
    layout = Layout.create(skopeo.new_folder("layout"))
    config = leaf.manifest.config
    others = {
        layer.digest: layer.size
        for layer in leaf.manifest.layers
        if layer.digest not in wanted and layer.digest != config.digest and not layer.is_foreign
    }
    with layout.placeholders(others), begin(layout) as download:
        download.fetch(source, leaf, wanted, config.size, name)
    return layout
