"""Reads every page of two cores with drgn, by physical address, and fails where they differ.

drgn wants a kernel's VMCOREINFO before it opens a core. Nothing of it is used to read physical memory.
"""

import struct
import sys

import drgn

VMCOREINFO = b"OSRELEASE=6.1.0\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffffffff82a10000\nKERNELOFFSET=0\n"
PAGE = 4096


def opened(path):
    program = drgn.Program(vmcoreinfo=VMCOREINFO)
    program.set_core_dump(path)
    return program


def ranges(path):
    """What PT_LOADs hold."""
    with open(path, "rb") as core:
        header = core.read(64)
        at, count = struct.unpack_from("<Q", header, 32)[0], struct.unpack_from("<H", header, 56)[0]
        core.seek(at)
        headers = core.read(56 * count)
    for index in range(count):
        kind, _, _, _, start, held = struct.unpack_from("<IIQQQQ", headers, 56 * index)
        if kind == 1:
            yield start, held


def main():
    one, other = (opened(path) for path in sys.argv[1:3])
    pages = 0
    for start, held in ranges(sys.argv[1]):
        for address in range(start, start + held, PAGE):
            if one.read(address, PAGE, physical=True) != other.read(address, PAGE, physical=True):
                sys.exit(f"the pages at {address:#x} differ")
            pages += 1
    print(f"{pages} pages equal, as drgn {drgn.__version__} reads them")


main()
