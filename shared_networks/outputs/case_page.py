"""``index.html``: one page to look through the cases of a run, which needs no network."""

import html
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from shared_networks.errors import CaseStatus
from shared_networks.io.file_names import safe_name
from shared_networks.outputs.case_table import CaseTable
from shared_networks.utils.atomic import atomic_text
from shared_networks.utils.run_file import RunFile

_PARTS = Path(__file__).parent / "page"
_VIEWERS = (
    ("nilearn", "_assets/js/brainsprite.min.js"),
    ("nilearn", "plotting/data/js/brainsprite.min.js"),
    ("brainsprite", "data/js/brainsprite.min.js"),
)
"""Packages that bring the viewer, and its file in them."""
_PICTURES = ("_qc.png", "_comparison.png")


def find_viewer() -> str:
    """The script of the viewer, of the first package that has one; '' when none is installed.

    The package is not imported: only its file is read.
    """
    for package, name in _VIEWERS:
        specification = find_spec(package)
        for folder in specification.submodule_search_locations or () if specification else ():
            path = Path(folder) / name
            if path.is_file():
                return path.read_text(encoding="utf-8")
    return ""


class CasePage(RunFile):
    """Writes ``<output_dir>/index.html`` when a run ends.

    It has the table of the cases, flagged ones above, sortable, with thumbnails, and for each case a viewer of three
    planes with the sources, the fused volume and the labels (:class:`shared_networks.outputs.SavePreviewd` writes what
    it shows). Without a package that brings the viewer, and for a case without preview, the case's picture is shown,
    which lies beside the page in the case's folder. Everything else is in the page.

    Args:
        table: of the same run; it comes before the page.
        title: of the page.
        most_mb: the previews of further cases are left out when those of the first, flagged ones before others, have
            this size in MB.
    """

    def __init__(self, table: CaseTable, title: str = "Fused cases", most_mb: float = 45.0) -> None:
        self.table = table
        self.title = title
        self.most_mb = most_mb
        self.path = Path("index.html")
        self.logger = logging.getLogger(type(self).__name__)

    def start(self, folder: Path, mark: str) -> None:
        """Say where the page goes; see :class:`RunFile`."""
        self.path = folder / f"index{mark}.html"

    def finish(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Write the page from the table and the previews of the cases."""
        viewer = find_viewer()
        if not viewer and any(True for _ in self.path.parent.glob("*/*_preview.json")):
            self.logger.info("pip install nilearn (or brainsprite) makes the volumes in index.html interactive")
        try:
            self._write(viewer)
        except OSError as error:
            self.logger.warning(f"{self.path}: cannot be written ({error.strerror}).")

    def _write(self, viewer: str) -> None:
        rows = [dict(row) for row in self.table.rows]
        previews = self._previews(rows) if viewer else []
        for row in rows:
            name = safe_name(row["case"])
            there = (end for end in _PICTURES if (self.path.parent / name / f"{name}{end}").is_file())
            row["picture"] = "" if row["status"] == CaseStatus.REFUSED else next(there, "")
        counts = Counter(row["status"] for row in rows)
        flagged = sum(bool(row["flags"]) for row in rows)
        summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        run = {
            "summary": f"{len(rows)} cases ({summary or 'none'}); {flagged} flagged",
            "columns": self.table.columns,
            "rows": rows,
        }
        licence = (_PARTS / "viewer_licence.txt").read_text(encoding="utf-8")
        contents = {
            "title": html.escape(self.title),
            "style": (_PARTS / "page.css").read_text(encoding="utf-8"),
            "run": _embedded(run),
            "previews": "\n".join(previews),
            "viewer": f"<script>/*\n{licence}*/\n{viewer}</script>" if viewer else "",
            "script": (_PARTS / "page.js").read_text(encoding="utf-8"),
        }
        # Split first: what is put in may hold such marks itself.
        first, *parts = (_PARTS / "page.html").read_text(encoding="utf-8").split("{{")
        page = first + "".join(contents[name] + rest for name, rest in (part.split("}}", 1) for part in parts))
        atomic_text(self.path, page)

    def _previews(self, rows: list[dict[str, Any]]) -> list[str]:
        """The elements of the page that hold the previews; rows get their thumbnails."""
        found, size = [], 0
        for row in sorted(rows, key=lambda row: not row["flags"]):
            if row["status"] == CaseStatus.REFUSED:
                continue
            name = safe_name(row["case"])
            try:
                text = (self.path.parent / name / f"{name}_preview.json").read_text(encoding="utf-8")
                preview = json.loads(text)
                thumbnail = preview.pop("thumbnail")
            except (OSError, ValueError, KeyError):
                continue
            if size + len(text) > self.most_mb * 1e6:
                continue
            size += len(text)
            row["thumbnail"] = thumbnail
            attributes = f'type="application/json" class="preview" data-case="{html.escape(row["case"])}"'
            found.append(f"<script {attributes}>{_embedded(preview)}</script>")
        return found


def _embedded(value: Any) -> str:
    """JSON that can stand inside a script element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
