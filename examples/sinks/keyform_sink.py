"""What the adapters in this folder share: reading keyform's request, answering it, starting the store's own tool.

The contract is in README.md. Secrets come in on stdin and go out on stdout, and nowhere else: never into an argument, an
environment variable, stderr or the text of an error.
"""

import argparse
import json
import re
import subprocess
import sys

# keyform's own rule for projects and labels. It starts with a letter or digit, so it is never an option or `..`.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
REQUEST_MAX = 1 << 20  # bytes; a request has a few hundred

_confidential = []  # lines that no error may quote


class Fail(Exception):
    """The operation failed; the text is for a person and says what to do."""


class NotFound(Exception):
    """There is no such entry."""


class Request:
    """One operation, checked.

    op: probe, put, get, delete or exists. place: the names that identify the entry, outermost first; each is safe as one part
    of a path. secret: what to put, or None. public: what a person may want to see beside it, name to text.
    """

    def __init__(self, data):
        if not isinstance(data, dict) or data.get("keyform_sink") != 1:
            raise Fail("this adapter speaks version 1 of keyform's sink protocol, and the request is of another")
        self.op = _one_of(data, "op", ("probe", "put", "get", "delete", "exists"))
        self.secret = None
        self.public = {}
        if self.op == "probe":
            return
        self.namespace = _one_of(data, "namespace", ("account", "sandbox"))
        self.item = _one_of(data, "item", ("keyset", "escrow-key", "canary"))
        self.project = _name(data, "project")
        self.place = [self.project, self.namespace, self.item]
        if self.item != "escrow-key":
            self.label = _name(data, "label")
            self.place.append(self.label)
        if self.op == "put":
            self.secret = data["secret"] if isinstance(data.get("secret"), str) else ""
            if not self.secret:
                raise Fail("the request to put has no `secret`")
            keep_out_of_errors(self.secret)
            self.secret.encode()  # half a surrogate pair is valid JSON and no text
            for name in ("keyset_id", "publish_key", "subscribe_key"):
                if isinstance(data.get(name), str):
                    self.public[name] = data[name]


class Flags(argparse.ArgumentParser):
    """Command line flags, whose errors are answered as keyform expects them."""

    def __init__(self, doc):
        super().__init__(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)

    def error(self, message):
        _answer({"ok": False, "error": f"secrets.exec.command: {message}"}, 1)


def path_flag(text):
    """A flag that is one or more names with `/` between them, such as a mount or a prefix."""
    path = text.strip("/")
    if not all(NAME.fullmatch(part) for part in path.split("/")):
        raise argparse.ArgumentTypeError(f"{text!r} is no path of letters, digits, `.`, `_` and `-`")
    return path


def keep_out_of_errors(text):
    """No error will quote this text, nor a line of it."""
    _confidential.extend(line.strip() for line in text.splitlines() if line.strip())


def run(argv, stdin=""):
    """Runs a program to its end, with `stdin` in a pipe. Raises Fail if it cannot be started."""
    try:
        return subprocess.run(argv, input=stdin.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    except FileNotFoundError:
        raise Fail(f"the program `{argv[0]}` is not on the PATH; install it, or start keyform where it is") from None
    except OSError as error:
        raise Fail(f"the program `{argv[0]}` could not be started: {error.strerror}") from None


def words(done):
    """What a program that failed said about it."""
    lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines()]
    return " / ".join([line for line in lines if line][:3]) or f"it ended with exit code {done.returncode} and said nothing"


def serve(probe, put, get, delete, exists=None):
    """Answers the one request on stdin with the function of its name, and ends the process.

    probe returns {"readable": bool, "persistent": bool}, get returns the secret, exists a bool, put and delete nothing.
    A store that can be read needs no `exists`.
    """
    try:
        request = _read()
        operation = {"probe": probe, "put": put, "get": get, "delete": delete, "exists": exists}[request.op]
        if operation is None:
            raise Fail(f"this adapter does not know the operation `{request.op}`")
        result = operation(request)
        answer = {"ok": True}
        if request.op == "probe":
            answer.update(result, **({"exists": True} if exists else {}))
        elif request.op == "exists" and not result:
            raise NotFound
        elif request.op == "get":
            answer["secret"] = result
        _answer(answer, 0)
    except NotFound:
        _answer({"ok": False, "error": "not found"}, 3)
    except Fail as failure:
        _answer({"ok": False, "error": _presentable(str(failure))}, 1)
    except Exception as bug:  # its text may quote anything
        _answer({"ok": False, "error": f"the adapter failed with {type(bug).__name__}, which it did not expect"}, 1)


def _read():
    raw = sys.stdin.buffer.read(REQUEST_MAX + 1)
    if len(raw) > REQUEST_MAX:
        raise Fail("the request on stdin is longer than 1 MiB")
    try:
        return Request(json.loads(raw.decode()))
    except (ValueError, RecursionError):
        raise Fail("stdin is not one JSON object in UTF-8; this program is started by keyform, see README.md") from None


def _one_of(data, field, values):
    if data.get(field) not in values:
        raise Fail(f"the request's `{field}` is none of {', '.join(values)}")
    return data[field]


def _name(data, field):
    text = data.get(field)
    if not isinstance(text, str) or not NAME.fullmatch(text):
        raise Fail(f"the request's `{field}` is not 1 to 128 letters, digits, `.`, `_`, `-` that start with a letter or digit")
    return text


def _presentable(text):
    # Before the text is cut, and long ones first, so that no half of one is left.
    for line in sorted(_confidential, key=len, reverse=True):
        text = text.replace(line, "[withheld]")
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= 400 else text[:400] + "..."


def _answer(answer, code):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    sys.exit(code)
