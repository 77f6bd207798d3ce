"""Templates of pages; autoescape keeps every text from being markup."""

import re
from importlib.resources import files

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

# The package of the templates, style and scripts that all pages share.
_SHARED = "s2match.outputs.report"

# Images and source maps beside the style or script of a library.
_REFERENCE = re.compile(r"^[ \t]*[\w-]+:\s*url\([^)]*\);?$|^//# sourceMappingURL=.*$", re.MULTILINE)


def environment(package: str) -> Environment:
    """Templates of a package and those that all pages share."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name, "") for name in dict.fromkeys((package, _SHARED))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.globals["source"] = _source
    return environment


def _source(name: str) -> Markup:
    """A style or script of the shared package, without references to other files, which browsers would ask for."""
    text = files(_SHARED).joinpath(*name.split("/")).read_text(encoding="utf-8")
    return Markup(_REFERENCE.sub("", text))
