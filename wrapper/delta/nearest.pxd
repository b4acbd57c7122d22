# The types with which Cython compiles nearest.py.
cimport cython

from .window cimport Window, same_bytes
from .words cimport Words

cdef Py_ssize_t _REACH
cdef unsigned int _HASHES, _MASK
cdef int _TRIES
cdef int _FAR_RANK


@cython.final
cdef class Nearest:
    cdef Window window
    cdef Words kept_heads, kept_links
    cdef unsigned int *heads
    cdef unsigned int *links
    cdef Py_ssize_t entered
    cdef public long long steps
    cdef readonly unsigned int found

    @cython.locals(at=cython.Py_ssize_t, base=cython.p_uchar, start=cython.Py_ssize_t, key=cython.uint,
                   heads=cython.p_uint, links=cython.p_uint)
    cdef int enter(self, Py_ssize_t place) except -1
    @cython.locals(base=cython.p_uchar, start=cython.Py_ssize_t, key=cython.uint, far=cython.uint, next_far=cython.uint,
                   rank=cython.int, most=cython.uint, low=cython.uint, tries=cython.int)
    cdef int find(self, Py_ssize_t place, Py_ssize_t begin, Py_ssize_t length, int wanted,
                  unsigned int distance) except -1
