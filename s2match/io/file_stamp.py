"""What changes with the content of a file, without reading it."""

from s2match.core.image_path import ImagePath, VirtualFile


def file_stamp(path: ImagePath) -> str:
    """Size and time of the last change of a file; "missing" without one, "remote" for one of GDAL's file systems."""
    if isinstance(path, VirtualFile):
        return "remote"
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"
