"""Functions that torch.compile leaves as they are: it would unroll their loops over tiles, and knows no addresses.

``torch.compiler.disable`` says so, but imports the compiler, which takes seconds; so it is said only in a process that is
about to compile.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

_functions: dict[str, Callable[..., Any]] = {}


def left_alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function``, which a compiled model calls as it is, between two of its graphs (:func:`before_compiling`)."""
    name = f"{function.__module__}.{function.__qualname__}"
    _functions[name] = function

    @wraps(function)
    def call(*arguments: Any) -> Any:
        return _functions[name](*arguments)

    return call


def before_compiling() -> None:
    """Tell torch.compile of them; to be called before it is."""
    for name, function in _functions.items():
        if not hasattr(function, "_torchdynamo_orig_callable"):
            _functions[name] = torch.compiler.disable(function)
