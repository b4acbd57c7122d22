# The types with which Cython compiles klauspost_fast.py.
cimport cython

from .chunks cimport Chunks, load_eight, load_four, low_four
from .window cimport same_bytes
from .words cimport Words

cdef extern from *:
    """
    #include <stdint.h>
    static CYTHON_INLINE uint32_t hash_five(uint64_t eight)
    {
        return (uint32_t)(((eight << 24) * UINT64_C(889523592379)) >> 49);
    }
    """
    unsigned int hash_five(unsigned long long eight) nogil

cdef int _LONGEST, _FOUND, _REACH, _TABLE, _MARGIN, _PACE


cdef class KlauspostFast(Chunks):
    cdef Words kept_table
    cdef unsigned int *table

    @cython.locals(data=cython.p_uchar, table=cython.p_uint, last=cython.int, here=cython.int, there=cython.int,
                   ahead=cython.int, length=cython.int, eight=cython.ulonglong, following=cython.ulonglong,
                   hashed=cython.uint)
    cdef int make(self, int first, int begin, int end, int cur) except -1
    @cython.final
    cdef int put_rest(self, int end) except -1
