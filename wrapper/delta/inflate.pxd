# The types with which Cython compiles inflate.py.
cimport cython

from .window cimport Window
from .words cimport Words

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* Eight bytes, the lowest first. */
    static CYTHON_INLINE uint64_t load_eight(const unsigned char *data, Py_ssize_t place)
    {
        uint64_t value;
        memcpy(&value, data + place, 8);
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        value = __builtin_bswap64(value);
    #endif
        return value;
    }
    /* A match: source and target may overlap. Up to seven bytes after it are overwritten. */
    static CYTHON_INLINE void copy_match(unsigned char *data, Py_ssize_t place, Py_ssize_t distance, Py_ssize_t length)
    {
        unsigned char *to = data + place, *end = to + length;
        const unsigned char *from = to - distance;
        if (distance >= 8)
            do {
                memcpy(to, from, 8);
                to += 8;
                from += 8;
            } while (to < end);
        else if (distance == 1)
            memset(to, *from, (size_t)length);
        else
            while (to < end) *to++ = *from++;
    }
    """
    unsigned long long load_eight(const unsigned char *data, Py_ssize_t place) nogil
    void copy_match(unsigned char *data, Py_ssize_t place, Py_ssize_t distance, Py_ssize_t length) nogil

ctypedef const unsigned char *Bytes

cdef int _FAST, _SLACK, _RECORDED
cdef unsigned long long _ALL
cdef unsigned int _LITERAL, _MATCH, _END, _BAD
cdef int _AT_MEMBER, _AT_BLOCK, _IN_BLOCK, _AT_TRAILER, _AT_REST, _OVER
cdef Py_ssize_t _PIECE, _LONGEST_HEADER


@cython.final
cdef class BitReader:
    cdef object read
    cdef bytes chunk
    cdef const unsigned char *data
    cdef Py_ssize_t size
    cdef Py_ssize_t place
    cdef unsigned long long buffer
    cdef int count
    cdef bint ended

    cdef int more(self) except -1
    @cython.locals(byte=cython.ulonglong)
    cdef int fill(self) except -1
    @cython.locals(value=cython.uint, one=cython.ulonglong)
    cdef unsigned int take(self, int count) except? 0xFFFFFFFF
    cdef unsigned int align(self) except? 0xFFFFFFFF


@cython.final
cdef class Codes:
    cdef Words kept_meanings, kept_table, kept_ordered, kept_counts, kept_next
    cdef unsigned int *meanings
    cdef unsigned int *table
    cdef unsigned int *ordered
    cdef unsigned int *counts
    cdef unsigned int *next

    @cython.locals(symbol=cython.int, length=cython.int, code=cython.uint, left=cython.int, entry=cython.uint,
                   reverse=cython.uint, place=cython.uint, bit=cython.int, total=cython.uint)
    cdef int make(self, const unsigned char *lengths, int begin, int count) except -1
    @cython.locals(length=cython.int, code=cython.uint, first=cython.uint, place=cython.uint, many=cython.uint, entry=cython.uint)
    cdef unsigned int search(self, unsigned long long buffer) except? 0xFFFFFFFF


@cython.final
cdef class BlockHeader:
    cdef bytearray lengths_memory
    cdef unsigned char *lengths
    cdef readonly bytearray bits
    cdef unsigned char *bits_base
    cdef readonly int bit_count
    cdef Codes precodes
    cdef bytearray precode_memory
    cdef unsigned char *precode_lengths

    @cython.locals(symbol=cython.int)
    cdef int set_fixed(self) except -1
    @cython.locals(literals=cython.int, distances=cython.int, precodes=cython.int, total=cython.int, at=cython.int,
                   place=cython.int, symbol=cython.int, before=cython.int, times=cython.int, entry=cython.uint,
                   literal_count=cython.int)
    cdef int parse(self, BitReader reader) except -1
    @cython.locals(value=cython.uint, left=cython.int, byte=cython.int)
    cdef unsigned int take(self, BitReader reader, int count) except? 0xFFFFFFFF
    cpdef int parse_bytes(self, bytes bits) except -1


@cython.final
cdef class Block:
    cdef readonly int kind
    cdef readonly int last
    cdef readonly int padding
    cdef readonly long long tokens
    cdef readonly int stored
    cdef readonly bytes header
    cdef readonly int header_bits
    cdef readonly bint ended


@cython.final
cdef class Inflater:
    cdef BitReader reader
    cdef Window window
    cdef Words queue
    cdef unsigned int *tokens
    cdef public Py_ssize_t head
    cdef readonly Py_ssize_t tail
    cdef Codes literals
    cdef Codes distances
    cdef BlockHeader codes
    cdef Py_ssize_t begin
    cdef int state
    cdef int left
    cdef readonly Block block
    cdef readonly bytes header
    cdef readonly int padding
    cdef readonly bytes trailer
    cdef readonly int follows
    cdef readonly bytes rest

    cpdef int step(self) except -1
    cpdef list take(self)
    cdef int take_header(self) except -1
    cdef int take_byte(self, bytearray kept) except -1
    @cython.locals(reader=BitReader, block=Block)
    cdef int take_block(self) except -1
    @cython.locals(reader=BitReader, piece=cython.Py_ssize_t)
    cdef int take_stored(self) except -1
    @cython.locals(reader=BitReader, window=Window, out=cython.p_uchar, at=cython.Py_ssize_t, most=cython.Py_ssize_t,
                   begin=cython.Py_ssize_t, tail=cython.Py_ssize_t, before=cython.Py_ssize_t, last=cython.Py_ssize_t,
                   literals=cython.p_uint, distances=cython.p_uint, tokens=cython.p_uint,
                   buffer=cython.ulonglong, count=cython.int, data=Bytes, place=cython.Py_ssize_t,
                   size=cython.Py_ssize_t, entry=cython.uint, extra=cython.uint, length=cython.uint,
                   spelled=cython.uint, distance=cython.uint, one=cython.ulonglong,
                   quick=cython.ulonglong)
    cdef int take_tokens(self) except -1
    @cython.locals(reader=BitReader)
    cdef int take_trailer(self) except -1
    @cython.locals(reader=BitReader)
    cdef int take_rest(self) except -1
    @cython.locals(kept=cython.Py_ssize_t)
    cdef int make_room(self) except -1
