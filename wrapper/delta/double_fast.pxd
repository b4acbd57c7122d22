# The types with which Cython compiles double_fast.py.
cimport cython

from .chunks cimport load_eight, load_four
from .window cimport same_bytes
from .words cimport Words
from .zstd_blocks cimport Sequences

cdef extern from *:
    """
    #include <stdint.h>
    static CYTHON_INLINE uint32_t hash_eight(uint64_t eight)
    {
        return (uint32_t)((eight * UINT64_C(0xCF1BBCDCB7A56463)) >> 47);
    }
    static CYTHON_INLINE uint32_t hash_five(uint64_t eight)
    {
        return (uint32_t)(((eight << 24) * UINT64_C(889523592379)) >> 49);
    }
    """
    unsigned int hash_eight(unsigned long long eight) nogil
    unsigned int hash_five(unsigned long long eight) nogil

cdef Py_ssize_t _MOST_CONTENT, _WINDOW, _HISTORY, _MARGIN, _LEAST
cdef int _LONG_BITS, _SHORT_BITS, _PACE, _SHORTEST, _LONGEST
cdef unsigned int _MASK
cdef long long _FORGET


@cython.final
cdef class DoubleFast:
    cdef bytearray memory
    cdef unsigned char *data
    cdef Words kept_long_places, kept_long_values, kept_short_places, kept_short_values
    cdef unsigned int *long_places
    cdef unsigned int *long_values
    cdef unsigned int *short_places
    cdef unsigned int *short_values
    cdef Py_ssize_t filled
    cdef long long shift
    cdef long long forgot
    cdef unsigned int recent
    cdef unsigned int before

    cpdef int begin(self) except -1
    cpdef int encode(self, bytes block, bint alone, Sequences sequences) except -1
    @cython.locals(size=cython.Py_ssize_t, gone=cython.Py_ssize_t, begin=cython.Py_ssize_t)
    cdef Py_ssize_t add(self, bytes block) except -1
    @cython.locals(now=cython.uint, number=cython.int)
    cdef int forget(self, unsigned int *places, int count) except -1
    @cython.locals(shift=cython.uint, after=cython.ulonglong, long=cython.uint, short=cython.uint)
    cdef unsigned long long enter(self, Py_ssize_t place) except? 0xFFFFFFFFFFFFFFFF
    @cython.locals(data=cython.p_uchar, long_places=cython.p_uint, long_values=cython.p_uint,
                   short_places=cython.p_uint, short_values=cython.p_uint, end=cython.Py_ssize_t,
                   limit=cython.Py_ssize_t, shift=cython.uint, at=cython.Py_ssize_t, emitted=cython.Py_ssize_t,
                   recent=cython.Py_ssize_t, before=cython.Py_ssize_t, eight=cython.ulonglong, after=cython.ulonglong,
                   there=cython.Py_ssize_t, repeats=cython.bint, long=cython.uint, short=cython.uint, far=cython.uint,
                   near=cython.uint, far_value=cython.uint, near_value=cython.uint, value=cython.uint,
                   back=cython.Py_ssize_t, length=cython.Py_ssize_t, start=cython.Py_ssize_t, match=cython.Py_ssize_t,
                   low=cython.Py_ssize_t, place=cython.Py_ssize_t, number=cython.int)
    cdef int search(self, Py_ssize_t begin, bint alone, Sequences sequences) except -1
