"""The `bma` command: dispatches to the rooms, importing what a command needs only when it runs."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence

_REMEDIES = {  # what to do where the system refuses a file
    errno.EACCES: "let this user at it, or name another",
    errno.EPERM: "let this user at it, or name another",
    errno.EROFS: "name a folder that can be written",
    errno.ENOSPC: "make room there, or name a folder on another disk",
    errno.EDQUOT: "make room there, or name a folder on another disk",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status. Errors are one sentence on stderr, with `--debug` a traceback."""
    parser = _parser()
    if not (sys.argv[1:] if argv is None else argv):
        parser.print_help(sys.stderr)
        return 2
    arguments = parser.parse_args(argv)
    try:
        status = arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("bma: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone: `bma … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if arguments.debug:
            raise
        if type(error).__name__ == "Interrupted":
            print(f"bma: {error}", file=sys.stderr)
            return 130
        print(f"bma: {_sentence(error)}", file=sys.stderr)
        return 1
    return int(status or 0)


def _parser() -> argparse.ArgumentParser:
    import service.commands
    import training.commands
    from service.parser import Parser

    parser = Parser(prog="bma", description="Sound and image find each other: train, index, serve, ask.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    service.commands.add_commands(commands)
    training.commands.add_commands(commands)
    return parser


class _Version(argparse.Action):
    """Prints the version, which is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"bma {version('bma-memory')}")
        parser.exit()


def _sentence(error: Exception) -> str:
    """An error in one line. Ours already are sentences; of others the kind is named too."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        remedy = _REMEDIES.get(error.errno or 0, "check the path and its permissions")
        return f"{error.filename}: {error.strerror}; {remedy}" if error.filename else f"{error.strerror}; {remedy}"
    if isinstance(error, ModuleNotFoundError):
        return f"{text}; install what this command needs, in the project's folder: pip install '.[training,service]'"
    if type(error).__module__.split(".")[0] in ("training", "index", "service"):
        return text
    return f"{type(error).__name__}: {text} (run bma --debug … for where)"


if __name__ == "__main__":
    sys.exit(main())
