"""Take apart an archive of a known model: every file of it into one folder, and none outside. Runtime-free.

An archive with anything in it that is no plain file or folder below that folder is refused as a whole.
"""

import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from perftool.errors import InputError
from perftool.published.fetched import FetchedFile, sha256_of


def extract(archive: Path, folder: Path) -> tuple[FetchedFile, ...]:
    """Extract a .tar.gz into a new folder; return what is there now, in the archive's order.

    Raises InputError, before anything is written, for a link, a device, an absolute path, one that leads out
    of the folder or stands there twice; and for an archive that is damaged. OSError is the disk's.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = tar.getmembers()
            _refuse(archive, members)
            folder.mkdir()
            tar.extractall(folder, members=members, filter="data")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(f"{archive}: not a readable .tar.gz: {error}; nothing of it was kept") from None
    paths = [(str(PurePosixPath(member.name)), member) for member in members if member.isfile()]
    return tuple(
        FetchedFile(path=path, bytes=member.size, sha256=sha256_of(folder / path)) for path, member in paths
    )


def _refuse(archive: Path, members: Sequence[tarfile.TarInfo]) -> None:
    """Raise InputError for the first member that is not to be extracted.

    The library's own filter would quietly mend some of these, and what is mended is not what was published.
    """
    seen: set[PurePosixPath] = set()
    for member in members:
        path = PurePosixPath(member.name)
        if member.issym() or member.islnk():
            why = f"is a link to {member.linkname!r}"
        elif not (member.isfile() or member.isdir()):
            why = "is neither a file nor a folder"
        elif path.is_absolute() or "\\" in member.name or ":" in member.name:
            why = "is an absolute path, or another system's"
        elif ".." in path.parts:
            why = "leads out of its folder"
        elif path in seen:
            why = "stands there twice"
        else:
            seen.add(path)
            continue
        raise InputError(f"{archive}: refused, since {member.name!r} in it {why}; nothing was extracted")
