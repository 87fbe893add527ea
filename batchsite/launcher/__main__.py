"""``python -m batchsite.launcher up|test|check``."""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    # Imported one by one, so that a command pays only for what it uses.
    if command == "up":
        from batchsite.launcher.up import up

        return up(rest)
    if command == "test":
        from batchsite.launcher.quality import test

        return test(rest)
    if command == "check":
        from batchsite.launcher.quality import check

        return check(rest)
    sys.stderr.write("usage: python -m batchsite.launcher up|test|check [options]\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
