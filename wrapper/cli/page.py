"""A page about an archive, for a request that it be transferred: one HTML file, without scripts or network."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import one_line
from ..host.outputs import output_file
from ..host.text import human_bytes, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..results import ImageInfo, InspectResult, LayerInfo

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem auto; max-width: 90rem;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #d5d8dc; }
th { font-weight: 600; white-space: nowrap; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
#archive { width: auto; } #archive td { text-align: left; }
#images td:nth-child(3) { min-width: 34rem; } #images td:nth-child(4) { overflow-wrap: anywhere; min-width: 8rem; }
code { font: 12px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
.bar { display: flex; width: 8rem; height: .8rem; margin-top: .25rem; border: 1px solid #2a6f97; }
.new { background: #2a6f97; } .bar, .new { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.note { color: #555; }
@media print { body { margin: 0; max-width: none; font-size: 10pt; } tr { break-inside: avoid; } }
"""


def write_page(result: InspectResult, archive: str, path: str) -> None:
    """Write the page into a file.

    Args:
        result: what `inspect` found, with the archive's sha256.
        archive: the archive's path.
        path: the page's file.

    Raises:
        HostError: it can't be written.
    """
    with output_file(Path(path)) as file:
        file.write(page(result, Path(archive).name).encode())


def page(result: InspectResult, name: str) -> str:
    """Return the page, as HTML.

    Args:
        result: what `inspect` found, with the archive's sha256.
        name: what to call the archive.
    """
    title = f"Transfer of {name}"
    new, needed = human_bytes(result.bytes_new), human_bytes(result.bytes_needed)
    # Nothing may be loaded, whatever a name in the archive tries.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        f"<h1>{_text(title)}</h1>",
        f'<p class="note">{plural(result.layers_new, "layer")} travel ({new}); '
        f"{plural(len(result.omitted), 'layer')} ({needed}) must be at the destination already.</p>",
        _facts(result, name),
    ]
    images = [image for image in result.images if not image.beside]
    beside = [image for image in result.images if image.beside]
    head = ("Image", "Platform", "Digest", "Media type", "New bytes", "Shared bytes", "New, shared")
    parts.append(_table("images", plural(len(images), "image"), head, map(_image_row, images)))
    if beside:
        rows = ([_text(image.name or ""), _code(image.digest), _code(str(image.beside))] for image in beside)
        parts.append(
            _table("beside", "Signatures, and what else belongs to an image", ("Tag", "Digest", "Of"), rows)
        )
    if result.bases:
        rows = ([_code(base)] for base in result.bases)
        parts.append(_table("bases", "Bases: one that has them must be at the destination", ("Digest",), rows))
    for where, title, more in (
        ("inside", "Layers that travel", ()),
        ("delta", "Layers that travel as their change, or repacked", ("Bytes of that", "Compressor", "Made from")),
        ("omitted", "Layers that are left out", ("In base",)),
        ("foreign", "Foreign layers, which never travel", ("To be had from",)),
    ):
        if layers := [layer for layer in result.layers if layer.where == where]:
            rows = (_layer_row(layer) for layer in layers)
            parts.append(_table(where, title, ("Digest", "Media type", "Bytes", *more), rows))
    if result.delta_sources:
        rows = ([_code(layer.digest), str(layer.size)] for layer in result.delta_sources)
        title = "Older layers that changes are made from: they must be at the destination"
        parts.append(_table("sources", title, ("Digest", "Bytes"), rows))
    if result.destination:
        if result.missing:
            rows = ([_code(layer.digest), str(layer.size)] for layer in result.missing)
            parts.append(_table("missing", f"{result.destination} lacks", ("Digest", "Bytes"), rows))
        else:
            sources = " or that changes are made from" if result.delta_sources else ""
            parts.append(
                f"<p>{_text(result.destination)} has every layer that the archive leaves out{sources}.</p>"
            )
    return "\n".join([*parts, "</body>", "</html>", ""])


def _facts(result: InspectResult, name: str) -> str:
    facts = (
        ("Archive", _text(name)),
        ("Bytes", str(result.archive_size)),
        ("sha256", _code(str(result.archive_sha256))),
        ("Format", _text(result.format or "made by another tool")),
        ("New bytes", str(result.bytes_new)),
        ("Shared bytes", str(result.bytes_shared)),
    )
    rows = "\n".join(f"<tr><th>{title}</th>{_cell(cell)}</tr>" for title, cell in facts)
    return f'<table id="archive">\n{rows}\n</table>'


def _image_row(image: ImageInfo) -> list[str]:
    platforms = [leaf.platform or "unknown" for leaf in image.manifests] or [image.platform or "unknown"]
    total = image.bytes_new + image.bytes_shared
    share = 100 * image.bytes_new / total if total else 0
    label = f"{share:.0f} % of {human_bytes(total)} is new"
    bar = (
        f'<div class="bar" role="img" aria-label="{label}"><div class="new" style="width:{share:.1f}%"></div></div>'
    )
    return [
        _text(image.name or image.reference or "without a name"),
        _text(", ".join(platforms)),
        "<br>".join(map(_code, (image.digest, *(leaf.digest for leaf in image.manifests)))),
        _text(image.media_type),
        str(image.bytes_new),
        str(image.bytes_shared),
        bar,
    ]


def _layer_row(layer: LayerInfo) -> list[str]:
    row = [_code(layer.digest), _text(layer.media_type), str(layer.size)]
    if layer.delta:
        made_of = " ".join(map(_code, layer.delta.sources)) or "repacked"
        row += [str(layer.delta.size), _text(layer.delta.model), made_of]
    elif layer.where != "inside":
        row.append(" ".join(map(_code, (*layer.bases, *layer.urls))))
    return row


def _table(name: str, title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"<h2>{_text(title)}</h2>", f'<table id="{name}">']
    lines.append("<thead><tr>" + "".join(f"<th>{each}</th>" for each in head) + "</tr></thead>\n<tbody>")
    lines += ["<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows]
    return "\n".join([*lines, "</tbody>\n</table>"])


def _cell(content: str) -> str:
    # A number stands at the right.
    return f'<td class="n">{content}</td>' if content.isdigit() else f"<td>{content}</td>"


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>"


def _text(text: str) -> str:
    return escape(one_line(text))
