# The types with which Cython compiles chains.py.
cimport cython

from .model cimport Model
from .window cimport Window, same_bytes
from .words cimport Words

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static CYTHON_INLINE unsigned short *half_words(unsigned char *memory) {
        return (unsigned short *)(void *)memory;
    }
    static CYTHON_INLINE unsigned int load_16(const unsigned char *data, Py_ssize_t place)
    {
        uint16_t word;
        memcpy(&word, data + place, 2);
        return word;
    }
    static CYTHON_INLINE unsigned int load_32_big(const unsigned char *data, Py_ssize_t place)
    {
        const unsigned char *at = data + place;
        return (unsigned int)at[0] << 24 | (unsigned int)at[1] << 16 | (unsigned int)at[2] << 8 | at[3];
    }
    """
    unsigned short *half_words(unsigned char *memory) nogil
    unsigned int load_16(const unsigned char *data, Py_ssize_t place) nogil
    unsigned int load_32_big(const unsigned char *data, Py_ssize_t place) nogil

cdef Py_ssize_t _LONGEST, _WINDOW, _TWO_WINDOWS, _LOOK_AHEAD, _FARTHEST, _BEYOND, _SWEEP, _FAR_AWAY
cdef Py_ssize_t _ZLIB_SHORTEST, _GO_SHORTEST, _SHORTEST_SEGMENT
cdef unsigned int _TOO_FAR, _GO_HASH_BITS, _GO_HASH_FACTOR, _NOWHERE, _WORD


cdef class Chains(Model):
    cdef Py_ssize_t segment
    cdef Py_ssize_t dictionary
    cdef int hash_count
    cdef Words kept_heads
    cdef bytearray link_memory
    cdef unsigned int *heads
    cdef unsigned short *links
    cdef bint is_lazy
    cdef unsigned int enters
    cdef Py_ssize_t member
    cdef Py_ssize_t first
    cdef Py_ssize_t stop
    cdef Py_ssize_t turn
    cdef unsigned int decided
    cdef unsigned int best
    cdef unsigned int next_best
    cdef bint is_ready
    cdef bint is_visited
    cdef bint is_next_visited

    @cython.locals(place=Py_ssize_t, end=Py_ssize_t)
    cpdef unsigned int predict(self) except? 0xFFFFFFFF
    @cython.locals(place=Py_ssize_t, end=Py_ssize_t, length=cython.uint)
    cpdef int accept(self, unsigned int token) except -1
    cdef Py_ssize_t end(self) except -1
    @cython.locals(place=Py_ssize_t, begin=Py_ssize_t, hashed=cython.int)
    cdef int make_turn(self) except -1
    cdef int reset(self) except -1
    cdef int enter(self, Py_ssize_t place, Py_ssize_t stop, Py_ssize_t end) except -1
    cdef unsigned int visit(self, Py_ssize_t place, unsigned int previous, Py_ssize_t end) except? 0xFFFFFFFF
    cdef unsigned int look_again(self, Py_ssize_t place, Py_ssize_t end) except? 0xFFFFFFFF


cdef class ZlibChains(Chains):
    cdef unsigned int good
    cdef unsigned int lazy
    cdef unsigned int nice
    cdef int chain
    cdef unsigned int mask
    cdef int shift

    @cython.locals(data=cython.p_uchar, heads=cython.p_uint, links=cython.p_ushort, shift=cython.int,
                   mask=cython.uint, behind=Py_ssize_t, hashed=cython.uint, gap=cython.uint)
    cdef int enter(self, Py_ssize_t place, Py_ssize_t stop, Py_ssize_t end) except -1
    @cython.locals(most=Py_ssize_t, length=cython.uint, start=Py_ssize_t)
    cdef unsigned int search(self, Py_ssize_t place, unsigned int previous, Py_ssize_t end) except? 0xFFFFFFFF
    @cython.locals(links=cython.p_ushort, limit=Py_ssize_t, distance=Py_ssize_t, allowed=cython.int,
                   tries=cython.int, longest=Py_ssize_t, found=Py_ssize_t, last=cython.uint,
                   candidate=Py_ssize_t, same=Py_ssize_t)
    cdef unsigned int follow(self, unsigned char *data, Py_ssize_t here, Py_ssize_t start, Py_ssize_t place,
                             Py_ssize_t length, Py_ssize_t nice, Py_ssize_t most) except? 0xFFFFFFFF
    cdef unsigned int taken(self, unsigned int length, unsigned int distance) except? 0xFFFFFFFF


cdef class GnuChains(ZlibChains):
    cdef Py_ssize_t base
    cdef bint is_all_read
    cdef bytearray tail_memory
    cdef unsigned char *tail
    cdef Py_ssize_t tail_start
    cdef Py_ssize_t tail_end

    @cython.locals(seen=Py_ssize_t)
    cdef int read(self, Py_ssize_t place, Py_ssize_t end) except -1
    @cython.locals(data=cython.p_uchar, tail=cython.p_uchar, start=Py_ssize_t, kept=Py_ssize_t,
                   offset=Py_ssize_t, base=Py_ssize_t)
    cdef int keep_tail(self, Py_ssize_t end) except -1
    @cython.locals(length=cython.uint, here=Py_ssize_t, match=cython.uint)
    cdef unsigned int search(self, Py_ssize_t place, unsigned int previous, Py_ssize_t end) except? 0xFFFFFFFF


cdef class GoChains(Chains):
    cdef unsigned int lazy
    cdef unsigned int nice
    cdef int chain
    cdef Py_ssize_t base

    @cython.locals(data=cython.p_uchar, heads=cython.p_uint, links=cython.p_ushort, behind=Py_ssize_t,
                   word=cython.uint, hashed=cython.uint, gap=cython.uint)
    cdef int enter(self, Py_ssize_t place, Py_ssize_t stop, Py_ssize_t end) except -1
    @cython.locals(most=Py_ssize_t, length=cython.uint, data=cython.p_uchar, links=cython.p_ushort,
                   here=Py_ssize_t, limit=Py_ssize_t, distance=Py_ssize_t, nice=Py_ssize_t, tries=cython.int,
                   longest=Py_ssize_t, found=Py_ssize_t, last=cython.uint, same=Py_ssize_t)
    cdef unsigned int search(self, Py_ssize_t place, unsigned int previous, Py_ssize_t end) except? 0xFFFFFFFF
