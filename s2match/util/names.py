"""Names of files as text for people."""


def shown_name(name: str) -> str:
    """A name with question marks in the place of bytes that are no text, which pictures cannot show."""
    return name.encode(errors="replace").decode()
