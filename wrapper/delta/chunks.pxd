# The types with which Cython compiles chunks.py.
cimport cython

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* Bytes, the lowest first. */
    static CYTHON_INLINE uint64_t load_eight(const unsigned char *data, Py_ssize_t place)
    {
        uint64_t value;
        memcpy(&value, data + place, 8);
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        value = __builtin_bswap64(value);
    #endif
        return value;
    }
    static CYTHON_INLINE uint32_t load_four(const unsigned char *data, Py_ssize_t place)
    {
        uint32_t value;
        memcpy(&value, data + place, 4);
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        value = __builtin_bswap32(value);
    #endif
        return value;
    }
    static CYTHON_INLINE uint32_t low_four(uint64_t eight) { return (uint32_t)eight; }
    """
    unsigned long long load_eight(const unsigned char *data, Py_ssize_t place) nogil
    unsigned int load_four(const unsigned char *data, Py_ssize_t place) nogil
    unsigned int low_four(unsigned long long eight) nogil

from .model cimport Model
from .window cimport Window
from .words cimport Words

cdef Py_ssize_t _REACH, _FEW, _NEVER, _MOST
cdef unsigned int _LITERAL, _SHORTEST, _LONGEST
cdef Py_ssize_t CHUNK


cdef class Chunks(Model):
    cdef readonly Py_ssize_t segment
    cdef readonly Py_ssize_t dictionary
    cdef Words kept_queue
    cdef unsigned int *queue
    cdef list tables
    cdef Py_ssize_t queued
    cdef int done
    cdef Py_ssize_t taken
    cdef Py_ssize_t taken_place
    cdef Py_ssize_t member
    cdef Py_ssize_t chunk_end
    cdef Py_ssize_t segment_end
    cdef Py_ssize_t history
    cdef Py_ssize_t origin

    @cython.locals(place=Py_ssize_t, token=cython.uint, length=cython.uint)
    cpdef unsigned int predict(self) except? 0xFFFFFFFF
    @cython.locals(window=Window, begin=Py_ssize_t, end=Py_ssize_t, length=Py_ssize_t)
    cdef int next_chunk(self) except -1
    @cython.locals(used=Py_ssize_t)
    cdef int begin_segment(self, Py_ssize_t place) except -1
    @cython.locals(window=Window, first=Py_ssize_t)
    cdef int decide(self, Py_ssize_t begin, Py_ssize_t end) except -1
    cdef int make(self, int first, int begin, int end, int cur) except -1
    @cython.final
    @cython.locals(count=Py_ssize_t, number=Py_ssize_t, queue=cython.p_uint)
    cdef int put_literals(self, int place) except -1
    @cython.final
    @cython.locals(part=cython.uint)
    cdef int put_match(self, unsigned int length, unsigned int distance, unsigned int cut) except -1
    cdef int sweep(self, Py_ssize_t count) except -1
    @cython.locals(marks=cython.p_uint, number=Py_ssize_t, mark=cython.uint, count=cython.uint)
    cdef int lower(self, Words table, unsigned int count) except -1
