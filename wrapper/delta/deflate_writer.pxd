# The types with which Cython compiles deflate_writer.py.
cimport cython

from .words cimport Words

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* Eight bytes, the lowest first. */
    static CYTHON_INLINE void store_eight(unsigned char *data, Py_ssize_t place, uint64_t value)
    {
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        value = __builtin_bswap64(value);
    #endif
        memcpy(data + place, &value, 8);
    }
    """
    void store_eight(unsigned char *data, Py_ssize_t place, unsigned long long value) nogil

cdef Py_ssize_t _CHUNK, _SLACK
cdef unsigned int _CODE


@cython.final
cdef class Symbols:
    cdef bytearray kept_lengths, kept_distances, kept_extra
    cdef Words kept_bases
    cdef unsigned char *lengths
    cdef unsigned char *distances
    cdef unsigned char *extra
    cdef unsigned int *bases


@cython.final
cdef class DeflateWriter:
    cdef bytearray memory
    cdef unsigned char *out
    cdef Py_ssize_t used
    cdef unsigned long long buffer
    cdef int count
    cdef readonly long long left
    cdef list done
    cdef Words kept_literals, kept_lengths, kept_distances, kept_next
    cdef unsigned int *literals
    cdef unsigned int *lengths
    cdef unsigned int *distances
    cdef unsigned int *next
    cdef readonly Symbols by

    cdef int flush(self) except -1
    cpdef list take(self)
    @cython.locals(wide=cython.ulonglong)
    cdef int put(self, unsigned int value, int count) except -1
    @cython.locals(place=cython.Py_ssize_t)
    cdef int put_bytes(self, const unsigned char[::1] data, Py_ssize_t first, Py_ssize_t end) except -1
    cdef int put_bits(self, const unsigned char[::1] bits, int count) except -1
    @cython.locals(length=cython.int, symbol=cython.int, entry=cython.uint, extra=cython.int)
    cdef int set_codes(self, const unsigned char *lengths, int literals, int begin, int distances) except -1
    @cython.locals(symbol=cython.int, length=cython.int, code=cython.uint, number=cython.uint, reverse=cython.uint,
                   bit=cython.int)
    cdef int assign(self, const unsigned char *lengths, int begin, int count, unsigned int *codes) except -1
    @cython.locals(place=cython.Py_ssize_t, token=cython.uint, entry=cython.uint, buffer=cython.ulonglong,
                   wide=cython.ulonglong, count=cython.int, out=cython.p_uchar, used=cython.Py_ssize_t,
                   literals=cython.p_uint, lengths=cython.p_uint, distances=cython.p_uint, bases=cython.p_uint,
                   symbols=cython.p_uchar, extra=cython.p_uchar, distance=cython.uint, symbol=cython.int, few=cython.int)
    cdef int put_tokens(self, const unsigned int *tokens, Py_ssize_t many) except -1
    cdef int end_block(self) except -1
