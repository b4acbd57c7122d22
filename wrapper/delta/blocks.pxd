# The types with which Cython compiles blocks.py.
cimport cython

from .words cimport Words

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* Whether all bytes of a block are the same. */
    static CYTHON_INLINE int is_even(const unsigned char *data, Py_ssize_t at, Py_ssize_t count)
    {
        return memcmp(data + at, data + at + 1, (size_t)(count - 1)) == 0;
    }
    /* How many bytes are the same from two places on. */
    static CYTHON_INLINE Py_ssize_t same_on(
        const unsigned char *old, Py_ssize_t place, Py_ssize_t old_size,
        const unsigned char *fresh, Py_ssize_t at, Py_ssize_t fresh_size)
    {
        Py_ssize_t most = old_size - place < fresh_size - at ? old_size - place : fresh_size - at;
        Py_ssize_t found = 0;
        while (found + 8 <= most) {
            uint64_t a, b;
            memcpy(&a, old + place + found, 8);
            memcpy(&b, fresh + at + found, 8);
            if (a != b) break;
            found += 8;
        }
        while (found < most && old[place + found] == fresh[at + found]) found++;
        return found;
    }
    /* How many bytes are the same before two places. */
    static CYTHON_INLINE Py_ssize_t same_back(
        const unsigned char *old, Py_ssize_t place, const unsigned char *fresh, Py_ssize_t at, Py_ssize_t least)
    {
        Py_ssize_t most = place < at - least ? place : at - least;
        Py_ssize_t found = 0;
        while (found < most && old[place - found - 1] == fresh[at - found - 1]) found++;
        return found;
    }
    """
    bint is_even(const unsigned char *data, Py_ssize_t at, Py_ssize_t count) nogil
    Py_ssize_t same_on(
        const unsigned char *old, Py_ssize_t place, Py_ssize_t old_size,
        const unsigned char *fresh, Py_ssize_t at, Py_ssize_t fresh_size) nogil
    Py_ssize_t same_back(
        const unsigned char *old, Py_ssize_t place, const unsigned char *fresh, Py_ssize_t at,
        Py_ssize_t least) nogil

ctypedef const unsigned char *Bytes

cdef unsigned long long _ALL, _STEP, _MIX
cdef int _PROBES, _DROP


@cython.final
cdef class BlockTable:
    cdef readonly Py_ssize_t block
    cdef unsigned long long mask
    cdef int shift
    cdef int filter_shift
    cdef Words sums
    cdef Words numbers
    cdef Words filter
    cdef unsigned long long out
    cdef readonly long long number

    @cython.locals(base=Bytes, size=cython.Py_ssize_t, at=cython.Py_ssize_t, number=cython.longlong,
                   total=cython.ulonglong, place=cython.Py_ssize_t)
    cpdef int add(self, bytes data, long long first) except -1
    @cython.locals(mixed=cython.ulonglong, print_=cython.uint, slot=cython.ulonglong, bit=cython.ulonglong,
                   one=cython.uint)
    cdef int insert(self, unsigned long long total, long long number) except -1
    @cython.locals(mixed=cython.ulonglong, print_=cython.uint, slot=cython.ulonglong, bit=cython.ulonglong)
    cdef long long look_up(self, unsigned long long total) noexcept
    @cython.locals(base=Bytes, block=cython.Py_ssize_t, out=cython.ulonglong, total=cython.ulonglong,
                   place=cython.Py_ssize_t, found=cython.longlong)
    cpdef Py_ssize_t find(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -2
    @cython.locals(old_base=Bytes, new_base=Bytes, old_size=cython.Py_ssize_t, new_size=cython.Py_ssize_t,
                   at=cython.Py_ssize_t, done=cython.Py_ssize_t, place=cython.Py_ssize_t, length=cython.Py_ssize_t,
                   before=cython.Py_ssize_t, best=cython.Py_ssize_t, score=cython.Py_ssize_t,
                   size=cython.Py_ssize_t, most=cython.Py_ssize_t, kept=cython.Py_ssize_t)
    cpdef list covers(self, bytes old, bytes new, Py_ssize_t least)


@cython.locals(old_base=Bytes, new_base=Bytes)
cpdef Py_ssize_t common_start(bytes old, bytes new) except -1
@cython.locals(old_base=Bytes, new_base=Bytes, least=cython.Py_ssize_t)
cpdef Py_ssize_t common_end(bytes old, bytes new) except -1
