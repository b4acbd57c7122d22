"""Makes a whole archive of one that leaves layers out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..archive.contents import merge
from ..archive.output import RemoveOnClose, open_target, written_to
from ..archive.summary import describe
from ..oci.reference import Reference
from ..results import PullResult
from ..skopeo.runner import Skopeo
from ..source.blobs import BlobSource
from .local import ArchiveDestination, pack_whole
from .plan import plan_image
from .pusher import base_sources, require_bases
from .tags import missing_error
from .upload import Upload
from .vet import vet

if TYPE_CHECKING:
    from ..archive.output import Output
    from ..archive.reader import ArchiveFiles
    from ..skopeo.inspect import References
    from .pusher import Pusher


def complete(pusher: Pusher, archives: ArchiveFiles, base: References, output: Output) -> RemoveOnClose:
    """Pack what `pull` would have written without a base.

    Args:
        pusher: says how bases are reached, and which skopeo runs.
        archives: one, or a chain, the oldest first: the last image is made whole.
        base: what has the layers.
        output: as `open_target` takes it.

    Raises:
        MissingLayersError: no base has a layer that is left out.
        IncrementalError: as for `push`.
    """
    skopeo_options, options, report = pusher.skopeo, pusher.options, pusher.report
    bases = base_sources(base, options.base)
    with (
        pusher.at_hand(archives) as files,
        BlobSource(files, options.deltas) as blob_source,
        open_target(output, skopeo_options.temp_dir) as target,
    ):
        require_bases(bases, blob_source)
        destination = ArchiveDestination(Reference("oci-archive", target.name), options.destination, preserve=True)
        plan = plan_image(blob_source.contents, destination)
        (item,) = plan.items
        report.plan("verifying", "vetting", "fetching", *(["making"] if blob_source.deltas else []), "packing")
        blob_source.verify(report)
        with Skopeo(skopeo_options, target.folder) as skopeo:
            with report.phase("vetting"):
                vetted = vet(skopeo, blob_source, item, bases, report)
            if vetted.missing:
                names = merge(blob_source.contents, blob_source.__contains__).names
                raise missing_error(target.name, vetted.missing, names, local=True)
            upload = Upload(skopeo, blob_source, item.images, vetted.absent, True, report)
            with report.phase("packing", upload.bytes_to_send):
                written = pack_whole(upload, target.file, None, target.name, target.folder)
            found = merge((), blob_source.__contains__, plan.told)
        archive, changed = written_to(target, written)
        contents = describe(found, blob_source.read)
        result = PullResult(**contents.shared_fields(), changed=changed, archive=archive)
    return RemoveOnClose(target, result)
