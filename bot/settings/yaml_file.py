"""Reads a settings file: plain YAML with the line of every key, bounded, and never quoted in an error."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

from bot.errors import SettingsError
from bot.settings.schema import Key, dotted

MAX_FILE_BYTES = 1_000_000
MAX_DEPTH = 16

_QUOTED = re.compile(r"('[^']*'|\"[^\"]*\")")
_SIGN = re.compile(r"'(<[a-z ]+>|[][{},:?-])'")

SECTION = object()
"""Stands for a value that is a mapping; its keys follow."""


def entries(path: Path) -> Iterator[tuple[Key, Any, int]]:
    """Every key with its value (text, None, lists and mappings of them, or `SECTION`) and its line, from 1.

    Raises:
        SettingsError: If the file cannot be read, is not plain YAML, says a key twice, or is too large.
    """
    try:
        root = _compose(_text(path))
    except yaml.YAMLError as error:
        _refuse_yaml(path, error)
    if root is None or (isinstance(root, yaml.ScalarNode) and _plain(root) is None):
        return
    if not isinstance(root, yaml.MappingNode):
        raise SettingsError(f"{path}:{_line(root)}: must hold settings, KEY: VALUE")
    yield from _entries_under((), root, path)


def parse_value(text: str) -> Any:
    """One value written as YAML: text, None, or lists and mappings of them.

    Raises:
        ValueError: If it is not plain YAML; the message is not for people.
    """
    try:
        return _plain(_compose(text))
    except yaml.YAMLError as error:
        raise ValueError("not plain YAML") from error


def _entries_under(above: Key, node: yaml.MappingNode, path: Path) -> Iterator[tuple[Key, Any, int]]:
    for key_node, value_node in node.value:
        # A dot is a level, here as in --set: `binance.linear:` is `binance:` with `linear:` in it.
        key = (*above, *key_node.value.split("."))
        if not all(key):
            raise SettingsError(f"{path}:{_line(key_node)}: a key has an empty part")
        if isinstance(value_node, yaml.MappingNode):
            yield key, SECTION, _line(key_node)
            yield from _entries_under(key, value_node, path)
        else:
            yield key, _plain(value_node), _line(key_node)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise SettingsError(f"{path}: larger than {MAX_FILE_BYTES} bytes; this is no settings file")
        return raw.decode()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); name a file with --settings PATH") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: not UTF-8 text; save it as UTF-8") from None


class _Refused(yaml.MarkedYAMLError):
    """Legal YAML that settings have no use for; the problem is told in words of ours."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class _Loader(yaml.SafeLoader):
    """Composes nodes only: no anchors (a few lines of them can mean gigabytes), no tags, no key twice."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML has no types for it
        if getattr(event, "anchor", None) is not None:
            raise _Refused("anchors and aliases are not used in settings", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise _Refused("tags are not used in settings", event.start_mark)
        if self._depth >= MAX_DEPTH:
            raise _Refused(f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Refused("a key must be a plain name", key.start_mark)
            if key.value in seen:
                raise _Refused(f"{dotted((key.value,))} is given twice", key.start_mark)
            seen.add(key.value)
        return node


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _plain(node: yaml.Node | None) -> Any:
    """Text, None, or lists and mappings of them; types are the model's business."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child) for child in node.value]
    if isinstance(node, yaml.MappingNode):
        return {key.value: _plain(child) for key, child in node.value}
    return None if node is None or node.tag == "tag:yaml.org,2002:null" else node.value


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _refuse_yaml(path: Path, error: yaml.YAMLError) -> NoReturn:
    if isinstance(error, yaml.reader.ReaderError):
        raise SettingsError(f"{path}: holds a control character; remove it")
    assert isinstance(error, yaml.MarkedYAMLError), "PyYAML marks every error but the reader's"
    mark = error.problem_mark or error.context_mark
    place = f"{path}:{mark.line + 1}" if mark is not None else str(path)
    if isinstance(error, _Refused):
        raise SettingsError(f"{place}: {error.problem}")
    if "\\t" in (error.problem or ""):
        raise SettingsError(f"{place}: a tab cannot indent; use blanks")
    problem = _without_content(error.problem or "")
    raise SettingsError(f"{place}: not valid YAML: {problem or 'not readable'}")


def _without_content(problem: str) -> str:
    """PyYAML's words up to the first quote that may be of the file: its own quote signs and `<block end>`."""
    words = ""
    for piece in _QUOTED.split(problem):
        if piece[:1] in {"'", '"'} and not _SIGN.fullmatch(piece):
            break
        words += piece
    return words.strip()
