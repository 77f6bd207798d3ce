"""URLs in messages."""

import re


def shown_url(url: str) -> str:
    """A URL without user, query and fragment, which may be credentials; a path stays as it is."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = place.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
