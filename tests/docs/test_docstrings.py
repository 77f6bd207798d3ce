"""Docstrings say what the code does: their arguments, attributes and errors are those of the signatures."""

import ast
import builtins
import dataclasses
import inspect
import logging
import pkgutil
import textwrap
from collections.abc import Iterator
from importlib import import_module

import griffe
import pytest
import rasterio.errors
from conftest import ROOT

import s2match
from s2match import errors

EXPORTED = sorted({*s2match.__all__} - {"__version__"})


def functions(owner: griffe.Object) -> Iterator[griffe.Function]:
    """Public functions and methods below a package or a class."""
    for name, member in owner.members.items():
        if name.startswith("_") or member.is_alias:
            continue
        if isinstance(member, griffe.Function):
            yield member
        elif isinstance(member, griffe.Class | griffe.Module):
            yield from functions(member)


@pytest.fixture(scope="module")
def package() -> Iterator[griffe.Object]:
    """The package as its source says."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    found = griffe.load("s2match", search_paths=[str(ROOT)], docstring_parser="google")
    assert isinstance(found, griffe.Object)
    yield found
    logging.disable(previous)


def section(docstring: griffe.Docstring | None, kind: str) -> list[str] | None:
    """Names that a section of a docstring explains; None without the section."""
    found = [part.value for part in docstring.parsed if part.kind.value == kind] if docstring else []
    return [getattr(one, "name", None) or str(one.annotation) for one in found[0]] if found else None


def raised(function: griffe.Function) -> set[str]:
    """Errors of the package that the lines of a function raise themselves; those of functions in it are not."""
    definition = ast.parse(textwrap.dedent(function.source)).body[0]
    assert isinstance(definition, ast.FunctionDef)
    waiting: list[ast.AST] = [*definition.body]
    names = set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef):
            continue
        if isinstance(node, ast.Raise):
            called = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            names |= {called.id} if isinstance(called, ast.Name) and hasattr(errors, called.id) else set()
        waiting += ast.iter_child_nodes(node)
    return names


def test_every_section_of_arguments_has_all_of_them(package: griffe.Object) -> None:
    count = 0
    for function in functions(package):
        explained = section(function.docstring, "parameters")
        if explained is not None:
            names = [one.name for one in function.parameters if one.name not in ("self", "cls")]
            assert [name.lstrip("*") for name in explained] == names, function.path
            count += 1
    assert count > 300


def test_errors_that_are_named_exist_and_those_that_are_raised_are_named(package: griffe.Object) -> None:
    count = 0
    for function in functions(package):
        named = section(function.docstring, "raises") or []
        assert all(exists(name, function) for name in named), function.path
        known = {base.__name__ for name in named if hasattr(errors, name) for base in subclasses(getattr(errors, name))}
        assert raised(function) <= known, function.path
        count += len(named)
    assert count > 200


def exists(error: str, function: griffe.Function) -> bool:
    """Whether an error is one of the package, of Python, of rasterio, or one that the module of a function knows."""
    module = import_module(function.module.path)
    if "." in error:
        return isinstance(pkgutil.resolve_name(error), type)
    return any(hasattr(place, error) for place in (errors, builtins, rasterio.errors, module))


def subclasses(error: type) -> list[type]:
    return [error, *(below for one in error.__subclasses__() for below in subclasses(one))]


@pytest.mark.parametrize("name", [name for name in EXPORTED if inspect.isfunction(getattr(s2match, name))])
def test_help_explains_every_argument_and_what_is_returned(package: griffe.Object, name: str) -> None:
    function = package[f"{getattr(s2match, name).__module__.removeprefix('s2match.')}.{name}"]
    assert (section(function.docstring, "parameters") is not None) == bool(len(function.parameters))
    returns = {part.kind.value for part in function.docstring.parsed} & {"returns", "yields"}
    assert bool(returns) == (str(function.returns) != "None")


@pytest.mark.parametrize("name", [name for name in EXPORTED if dataclasses.is_dataclass(getattr(s2match, name))])
def test_help_explains_every_attribute(package: griffe.Object, name: str) -> None:
    kind = getattr(s2match, name)
    explained = section(package[f"{kind.__module__.removeprefix('s2match.')}.{name}"].docstring, "attributes")
    assert explained == [field.name for field in dataclasses.fields(kind)]
