# The types with which Cython compiles entropy.py.
cimport cython

from .words cimport Words

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static CYTHON_INLINE int high_bit(uint32_t number) { return 31 - __builtin_clz(number); }

    /* Eight bytes, the lowest first; those beyond the end are zeros. */
    static CYTHON_INLINE uint64_t eight_before(const unsigned char *data, Py_ssize_t place, Py_ssize_t end)
    {
        uint64_t value = 0;
        if (place + 8 <= end) {
            memcpy(&value, data + place, 8);
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
            value = __builtin_bswap64(value);
    #endif
        } else {
            int shift = 0;
            while (place < end) {
                value |= (uint64_t)data[place++] << shift;
                shift += 8;
            }
        }
        return value;
    }

    static CYTHON_INLINE uint32_t bits_at(
        const unsigned char *data, Py_ssize_t place, int count, Py_ssize_t end)
    {
        uint64_t value = eight_before(data, place >> 3, end);
        return (uint32_t)(value >> (place & 7)) & (uint32_t)(((uint64_t)1 << count) - 1);
    }

    /* Eight bytes from the place on can be read, whatever they are. */
    static CYTHON_INLINE uint32_t bits_before(
        const unsigned char *data, Py_ssize_t begin, Py_ssize_t place, int count)
    {
        Py_ssize_t have = place - 8 * begin;
        Py_ssize_t first;
        uint64_t value;
        if (have <= 0 || count == 0) return 0;
        if (have > count) have = count;
        first = place - have;
        memcpy(&value, data + (first >> 3), 8);
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        value = __builtin_bswap64(value);
    #endif
        return (uint32_t)(((value >> (first & 7)) & (((uint64_t)1 << have) - 1)) << (count - have));
    }
    """
    int high_bit(unsigned int number) nogil
    unsigned int bits_at(const unsigned char *data, Py_ssize_t place, int count, Py_ssize_t end) nogil
    unsigned int bits_before(const unsigned char *data, Py_ssize_t begin, Py_ssize_t place, int count) nogil

ctypedef const unsigned char *Bytes

cdef int _STATES, _SYMBOLS, _LOG, _LONGEST, _WEIGHTS_LOG, _MOST_WEIGHTS, _DIRECT
cdef unsigned int _NONE, _MOST_WEIGHT


@cython.final
cdef class FseTable:
    cdef int log
    cdef Words kept_symbols, kept_bits, kept_bases, kept_steps, kept_last, kept_odds, kept_nexts
    cdef unsigned int *symbols
    cdef unsigned int *bits
    cdef unsigned int *bases
    cdef unsigned int *steps
    cdef unsigned int *last
    cdef unsigned int *odds
    cdef unsigned int *nexts
    cdef int count

    cpdef int set_one(self, int symbol) except -1
    cpdef int set_odds(self, bytes odds, int log) except -1
    @cython.locals(symbol=cython.int)
    cdef int forget(self) except -1
    @cython.locals(base=Bytes, at=cython.Py_ssize_t, log=cython.int, left=cython.int, symbol=cython.int, width=cython.int,
                   value=cython.int, low=cython.int, few=cython.int, again=cython.int, done=cython.Py_ssize_t)
    cpdef Py_ssize_t read(
        self, bytes data, Py_ssize_t place, Py_ssize_t end, int most_symbol, int most_log) except -1
    @cython.locals(size=cython.int, mask=cython.int, high=cython.int, symbols=cython.p_uint, symbol=cython.int,
                   odds=cython.uint, step=cython.int, place=cython.int, state=cython.int, number=cython.uint,
                   width=cython.int, base=cython.int, following=cython.int)
    cdef int build(self) except -1


@cython.final
cdef class HuffmanCode:
    cdef Words kept_lengths, kept_codes, kept_weights
    cdef unsigned int *lengths
    cdef unsigned int *codes
    cdef unsigned int *weights
    cdef int count
    cdef FseTable table

    @cython.locals(size=cython.Py_ssize_t, first=cython.int, count=cython.int, number=cython.int, pair=cython.int)
    cpdef int read(self, bytes description) except -1
    @cython.locals(base=Bytes, table=FseTable, place=cython.Py_ssize_t, first=cython.Py_ssize_t, state=cython.uint,
                   other=cython.uint, width=cython.int, following=cython.uint)
    cdef int read_weights(self, bytes data, Py_ssize_t end, Py_ssize_t begin) except -1
    @cython.locals(total=cython.uint, number=cython.int, longest=cython.int, left=cython.uint, symbol=cython.int,
                   place=cython.uint, weight=cython.uint)
    cdef int build(self) except -1
