"""Detection of pickles of protocol 0 and 1, which have no mark at their beginning and look like text."""

import mmap
from pathlib import Path
from pickletools import OpcodeInfo, StackObject, genops, markobject
from typing import Final

_IMPORTS: Final = frozenset({"GLOBAL", "INST"})
_CALLS: Final = frozenset({"INST", "OBJ", "REDUCE", "BUILD"})


def is_old_pickle(path: Path) -> bool:
    """Return whether loading the file as an old pickle would call something, even if it fails after that.

    Texts may begin like one, as "c" stands for an import, up to the first opcode that takes more from the stack than
    there is: no unpickler goes on there. So would a list of packages, if stacks were not looked at.
    """
    stack: list[StackObject] = []
    has_import = False
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for opcode, _, _ in genops(content):  # type: ignore[arg-type]  # reads like a file
                if not _take(stack, opcode):
                    return False
                has_import |= opcode.name in _IMPORTS
                if has_import and opcode.name in _CALLS:
                    return True
                stack.extend(opcode.stack_after)
    except ValueError:  # empty, or not a pickle, as the first byte of most files shows
        return False
    return has_import


def _take(stack: list[StackObject], opcode: OpcodeInfo) -> bool:
    """Take from `stack` what `opcode` takes; return False if there is less."""
    before = opcode.stack_before
    count = len(before)
    if markobject in before:
        if markobject not in stack:
            return False
        while stack.pop() is not markobject:
            pass
        count = before.index(markobject)
    if count > len(stack):
        return False
    del stack[len(stack) - count :]
    return True
