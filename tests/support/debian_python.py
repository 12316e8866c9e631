"""Imported first by tests that read certificates or keys: goes on under Debian's interpreter, to which Debian's
python3-cryptography belongs, where this one has none."""
import os
import sys

try:
    import cryptography  # noqa: F401
except ImportError:
    if sys.executable == "/usr/bin/python3":
        raise
    os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", *sys.argv])
