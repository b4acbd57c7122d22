# The types with which Cython compiles gofast.py.
cimport cython

from .chunks cimport Chunks, load_four
from .window cimport same_bytes
from .words cimport Words

cdef extern from *:
    """
    #include <stdint.h>
    static CYTHON_INLINE uint32_t hash_four(uint32_t four)
    {
        return (uint32_t)(four * UINT32_C(0x1e35a7bd)) >> 18;
    }
    """
    unsigned int hash_four(unsigned int four) nogil

cdef int _LONGEST, _FOUND, _REACH, _TABLE, _MARGIN, _PACE, _STEP


cdef class GoFast(Chunks):
    cdef Words kept_table
    cdef unsigned int *table

    @cython.locals(data=cython.p_uchar, table=cython.p_uint, last=cython.int, here=cython.int, there=cython.int,
                   ahead=cython.int, step=cython.int, most=cython.int, length=cython.int, four=cython.uint,
                   hashed=cython.uint)
    cdef int make(self, int first, int begin, int end, int cur) except -1
