"""The rule, compiled from its own source.

`domain.rule` is plain Python on floats. Here each of its functions becomes a numba function in
one shared namespace, so that the kernel inlines the rule and nobody writes it a second time.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from types import FunctionType
from typing import Any

import numba

from volbal.domain import rule

SOURCES = (Path(rule.__file__), *sorted(Path(__file__).parent.glob("*.py")))


def _use_cache_of_these_sources() -> None:
    """Let numba cache machine code per state of the sources.

    Numba looks only at the file of a cached function, not at what it inlines: without this a
    changed rule would go on running as the old one. An unwritable home falls back to the
    temporary folder.
    """
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()[:16]
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", tempfile.gettempdir()))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    for folder in (base / "volbal", Path(tempfile.gettempdir()) / "volbal"):
        try:
            (folder / digest).mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder / digest, os.W_OK):
            numba.config.CACHE_DIR = str(folder / digest)  # type: ignore[attr-defined]  # set at run time
            return


def _compiled(module: Any) -> dict[str, Any]:
    namespace = dict(vars(module))
    for name, function in vars(module).items():
        if isinstance(function, FunctionType) and function.__module__ == module.__name__:
            inner = FunctionType(function.__code__, namespace, name)
            namespace[name] = numba.njit(inner, forceinline=True, error_model="numpy")
    return namespace


_use_cache_of_these_sources()
RULE = _compiled(rule)
"""The rule's functions by name, for use inside compiled code."""
