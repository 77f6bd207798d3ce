"""What changes with the content of a file, without reading it."""

from s2match.core.image_path import ImagePath, VirtualFile


def file_stamp(path: ImagePath) -> str:
    """Size and time of the last change of a file or its zip; "missing" without one, "remote" of a remote file."""
    if isinstance(path, VirtualFile):
        return "remote" if path.in_zip is None else file_stamp(path.in_zip[0])
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"
