# The types with which Cython compiles patch.py.
cimport cython

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* How many bytes are the same in both from a place on, before another one. */
    static CYTHON_INLINE Py_ssize_t same_start(
        const unsigned char *old, const unsigned char *fresh, Py_ssize_t place, Py_ssize_t size)
    {
        Py_ssize_t at = place;
        while (at + 8 <= size) {
            uint64_t a, b;
            memcpy(&a, old + at, 8);
            memcpy(&b, fresh + at, 8);
            if (a != b) break;
            at += 8;
        }
        while (at < size && old[at] == fresh[at]) at++;
        return at - place;
    }
    """
    Py_ssize_t same_start(
        const unsigned char *old, const unsigned char *fresh, Py_ssize_t place, Py_ssize_t size) nogil

ctypedef const unsigned char *Bytes

cdef Py_ssize_t _PIECE, _SINK


@cython.final
cdef class Sink:
    cdef object write
    cdef bytearray pending
    cdef unsigned char *base
    cdef Py_ssize_t used
    cdef readonly long long length

    cdef int put(self, unsigned int byte) except -1
    cdef int put_number(self, unsigned long long number) except -1
    cpdef int flush(self) except -1


@cython.final
cdef class PatchWriter:
    cdef Sink moves, gaps, lengths, zeros, runs, firsts, seconds, others, all
    cdef long long old_place
    cdef long long new_place
    cdef unsigned long long equal
    cdef unsigned long long run
    cdef int borrow

    @cython.locals(move=cython.longlong)
    cpdef int cover(self, long long old, long long new, long long length) except -1
    @cython.locals(place=cython.Py_ssize_t, size=cython.Py_ssize_t, same=cython.Py_ssize_t,
                   old_base=Bytes, new_base=Bytes, difference=cython.int)
    cpdef int compare(self, bytes old, bytes new) except -1
    cdef int end_run(self) except -1
    cpdef int finish(self) except -1


@cython.final
cdef class Source:
    cdef object read
    cdef bytes chunk
    cdef const unsigned char *data
    cdef Py_ssize_t size
    cdef Py_ssize_t place

    cdef Py_ssize_t fill(self) except -1
    cpdef int has_more(self) except -1
    cdef unsigned int next(self) except? 0xFFFFFFFF
    @cython.locals(number=cython.ulonglong, byte=cython.ulonglong, shift=cython.int)
    cpdef unsigned long long next_number(self) except? 0xFFFFFFFFFFFFFFFF


@cython.final
cdef class Patcher:
    cdef Source moves, gaps, lengths, zeros, runs, extra, firsts, seconds, others, programs
    cdef object old
    cdef long long old_length
    cdef long long old_place
    cdef long long size
    cdef long long read_old
    cdef long long read_new
    cdef long long read_length
    cdef long long read_end
    cdef long long read_left
    cdef object pairs
    cdef long long turn
    cdef object ahead
    cdef Py_ssize_t done
    cdef bint carries
    cdef bytes carried
    cdef Py_ssize_t carried_at
    cdef long long left
    cdef long long gap
    cdef long long length
    cdef long long equal
    cdef long long run
    cdef long long index
    cdef unsigned int carry
    cdef long long covers
    cdef bytearray pending
    cdef object view
    cdef unsigned char *base

    @cython.locals(room=cython.Py_ssize_t, at=cython.Py_ssize_t, count=cython.Py_ssize_t)
    cpdef bytes step(self)
    @cython.locals(old=cython.longlong, new=cython.longlong, length=cython.longlong)
    cdef int next_cover(self) except -1
    @cython.locals(move=cython.longlong, gap=cython.longlong, length=cython.longlong)
    cdef int read_cover(self) except -1
    cdef int read_ahead(self, long long old, long long new, long long length) except -1
    cdef Py_ssize_t copy_carried(self, Py_ssize_t at, Py_ssize_t count) except -1
    @cython.locals(source=Source, piece=cython.Py_ssize_t)
    cdef int copy_extra(self, Py_ssize_t at, Py_ssize_t count) except -1
    @cython.locals(out=cython.p_uchar, end=cython.Py_ssize_t, piece=cython.Py_ssize_t, byte=cython.uint)
    cdef int change(self, Py_ssize_t at, Py_ssize_t count) except -1
    cdef int finish(self) except -1
