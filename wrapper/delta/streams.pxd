# The types with which Cython compiles streams.py.
cimport cython

cdef Py_ssize_t _PIECE


@cython.final
cdef class StreamWriter:
    cdef bytearray pending
    cdef unsigned char *base
    cdef Py_ssize_t used
    cdef object compressor
    cdef list done
    cdef readonly long long length
    cdef readonly long long packed

    cpdef int put(self, unsigned int byte) except -1
    cpdef int put_number(self, unsigned long long number) except -1
    cpdef int put_bytes(self, const unsigned char[::1] data) except -1
    cdef int flush(self) except -1
    cpdef bytes finish(self)


@cython.final
cdef class StreamReader:
    cdef object read_at
    cdef object decompressor
    cdef long long offset
    cdef long long packed
    cdef long long left
    cdef bytes chunk
    cdef const unsigned char *data
    cdef Py_ssize_t size
    cdef Py_ssize_t place

    cdef int fill(self) except -1
    cpdef bint at_end(self) except -1
    cpdef unsigned int next(self) except? 0xFFFFFFFF
    @cython.locals(byte=cython.ulonglong, number=cython.ulonglong, shift=cython.int)
    cpdef unsigned long long next_number(self, unsigned long long most) except? 0xFFFFFFFFFFFFFFFF
    cpdef bytes next_bytes(self, Py_ssize_t count)
    cpdef int finish(self) except -1
