# The types with which Cython compiles klauspost.py.
cimport cython

from .chunks cimport Chunks, load_eight, load_four, low_four
from .window cimport Window, same_bytes
from .words cimport Words

cdef extern from *:
    """
    #include <stdint.h>
    static CYTHON_INLINE uint32_t hash_four(uint64_t eight)
    {
        return (uint32_t)((uint32_t)eight * UINT32_C(2654435761)) >> 17;
    }
    static CYTHON_INLINE uint32_t hash_seven(uint64_t eight)
    {
        return (uint32_t)(((eight << 8) * UINT64_C(58295818150454627)) >> 49);
    }
    """
    unsigned int hash_four(unsigned long long eight) nogil
    unsigned int hash_seven(unsigned long long eight) nogil

cdef int _LONGEST, _FOUND, _REACH, _TABLE, _MARGIN, _SHORT


cdef class Klauspost(Chunks):
    cdef bint thorough
    cdef int pace
    cdef int skipped
    cdef unsigned int cut
    cdef Words kept_fours, kept_sevens
    cdef unsigned int *fours
    cdef unsigned int *sevens
    cdef unsigned char *data
    cdef int first
    cdef int end
    cdef int cur
    cdef int last
    cdef int here
    cdef int there
    cdef int length
    cdef int ahead
    cdef int distance

    cdef int make(self, int first, int begin, int end, int cur) except -1
    @cython.final
    @cython.locals(data=cython.p_uchar, fours=cython.p_uint, sevens=cython.p_uint, cur=cython.int, done=cython.int,
                   pace=cython.int, last=cython.int, ahead=cython.int, here=cython.int, eight=cython.ulonglong,
                   hashed_four=cython.uint, hashed_seven=cython.uint, four=cython.uint, candidate=cython.int,
                   later=cython.int, earlier=cython.int, length=cython.int, other=cython.int)
    cdef int search(self) except -1
    @cython.final
    cdef int found(self, int here, int there, int length, int ahead) except -1
    @cython.final
    @cython.locals(most=cython.int, same=cython.int)
    cdef int measure(self, int here, int there) except -1
    @cython.final
    @cython.locals(data=cython.p_uchar, here=cython.int, ahead=cython.int, there=cython.int, length=cython.int,
                   four=cython.uint)
    cdef int compare(self, int later, int earlier) except -1
    @cython.final
    @cython.locals(here=cython.int, there=cython.int)
    cdef int lengthen(self) except -1
    @cython.final
    @cython.locals(length=cython.int, after=cython.int, number=cython.uint, here=cython.int, back=cython.int,
                   there=cython.int)
    cdef int better(self) except -1
    @cython.final
    @cython.locals(length=cython.int)
    cdef int take_longer(self, int here, int there) except -1
    @cython.final
    @cython.locals(data=cython.p_uchar, here=cython.int, there=cython.int)
    cdef int put(self) except -1
    @cython.final
    @cython.locals(data=cython.p_uchar, cur=cython.int, stop=cython.int, place=cython.int, eight=cython.ulonglong)
    cdef int enter_some(self) except -1
    @cython.final
    @cython.locals(data=cython.p_uchar, cur=cython.int, place=cython.int, eight=cython.ulonglong)
    cdef int enter_all(self) except -1
    @cython.final
    @cython.locals(data=cython.p_uchar, cur=cython.int, place=cython.int, eight=cython.ulonglong)
    cdef int enter_rest(self) except -1
    @cython.final
    cdef int enter_four(self, unsigned long long eight, unsigned int mark) except -1
    @cython.final
    @cython.locals(number=cython.uint)
    cdef int enter_seven(self, unsigned long long eight, unsigned int mark) except -1
