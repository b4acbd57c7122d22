# The types with which Cython compiles format1.py; bounds are checked all the same.
cimport cython

cdef int _BITS, _CHUNK, _ROOM, _STORED, _FIXED, _DYNAMIC, _MORE, _REST, _END


@cython.final
cdef class _Reader:
    cdef const unsigned char[::1] data
    cdef Py_ssize_t size
    cdef Py_ssize_t place
    cdef unsigned long long buffer
    cdef int count

    @cython.locals(byte=cython.ulonglong)
    cdef int fill(self) except -1
    @cython.locals(value=cython.uint)
    cdef unsigned int take(self, int count) except? 0xFFFFFFFF
    @cython.locals(entry=cython.uint, length=cython.int)
    cdef unsigned int symbol(self, const unsigned int[::1] table) except? 0xFFFFFFFF
    cdef unsigned int align(self) except? 0xFFFFFFFF
    cdef unsigned int byte(self) except? 0xFFFFFFFF


@cython.final
cdef class _Room:
    cdef unsigned long long left


@cython.final
cdef class _Out:
    cdef _Room room
    cdef unsigned char[::1] scratch
    cdef Py_ssize_t used
    cdef list done

    cdef int put(self, unsigned int byte) except -1
    cdef int put_number(self, unsigned long long number) except -1
    cdef int flush(self) except -1
    cdef bytes finish(self)


@cython.final
cdef class _BitOut:
    cdef _Out out
    cdef unsigned long long left
    cdef unsigned long long buffer
    cdef int count

    cdef int put(self, unsigned long long value, int count) except -1


@cython.final
cdef class _Codes:
    cdef unsigned char[::1] lengths
    cdef unsigned int[::1] literals
    cdef unsigned int[::1] distances
    cdef unsigned int[::1] literal_codes
    cdef unsigned int[::1] distance_codes
    cdef unsigned int[::1] precode
    cdef unsigned int[::1] scratch

    @cython.locals(symbol=cython.int)
    cdef int set_fixed(self) except -1
    cdef int make(self, int literal_count, int first, int distance_count) except -1
    @cython.locals(symbol=cython.int, length=cython.int, code=cython.uint, number=cython.uint, reverse=cython.uint)
    cdef int assign(self, int first, int count, unsigned int[::1] codes) except -1
    @cython.locals(symbol=cython.int, length=cython.int, place=cython.uint)
    cdef int tabulate(self, int first, int count, const unsigned int[::1] codes, unsigned int[::1] table) except -1
    @cython.locals(literal_count=cython.int, distance_count=cython.int, precodes=cython.int, total=cython.int,
                   place=cython.int, symbol=cython.int, before=cython.int, times=cython.int, entry=cython.uint,
                   length=cython.int)
    cdef int read(self, _Reader reader, _BitOut kept) except -1
    @cython.locals(value=cython.uint)
    cdef unsigned int some(self, _Reader reader, _BitOut kept, int count) except? 0xFFFFFFFF


@cython.final
cdef class _Parser:
    cdef const unsigned int[::1] length_bases
    cdef const unsigned int[::1] distance_bases
    cdef const unsigned char[::1] length_bits
    cdef const unsigned char[::1] distance_bits
    cdef _Reader reader
    cdef _Codes codes
    cdef _Out frames
    cdef _Out lengths
    cdef _Out distances
    cdef _Out literals
    cdef unsigned long long run

    @cython.locals(reader=_Reader)
    cpdef tuple parse(self)
    cdef int copy(self, int count) except -1
    @cython.locals(reader=_Reader, flags=cython.uint, low=cython.uint, high=cython.uint, byte=cython.uint)
    cdef int header(self) except -1
    @cython.locals(reader=_Reader, last=cython.int, kind=cython.int, size=cython.uint, kept=_BitOut)
    cdef int block(self) except -1
    @cython.locals(reader=_Reader, count=cython.ulonglong, symbol=cython.uint, length=cython.uint,
                   distance=cython.uint)
    cdef unsigned long long tokens(self) except? 0xFFFFFFFFFFFFFFFF
    cdef int put_run(self) except -1


@cython.final
cdef class _Bytes:
    cdef const unsigned char[::1] data
    cdef Py_ssize_t size
    cdef Py_ssize_t place

    cdef unsigned int next(self) except? 0xFFFFFFFF
    @cython.locals(byte=cython.ulonglong, number=cython.ulonglong, shift=cython.int)
    cdef unsigned long long next_number(self) except? 0xFFFFFFFFFFFFFFFF


@cython.final
cdef class _Serializer:
    cdef const unsigned int[::1] length_bases
    cdef const unsigned int[::1] distance_bases
    cdef const unsigned char[::1] length_bits
    cdef const unsigned char[::1] distance_bits
    cdef _Bytes frames
    cdef _Bytes lengths
    cdef _Bytes distances
    cdef _Bytes literals
    cdef _Codes codes
    cdef _BitOut bits
    cdef unsigned char[::1] length_symbols
    cdef unsigned int[::1] distance_symbols
    cdef long long run

    @cython.locals(bits=_BitOut, padding=cython.uint, follows=cython.uint)
    cpdef bytes serialize(self)
    cdef int copy(self, unsigned long long count) except -1
    @cython.locals(bits=_BitOut, frames=_Bytes, flags=cython.uint, low=cython.uint, high=cython.uint,
                   byte=cython.uint)
    cdef int header(self) except -1
    @cython.locals(bits=_BitOut, frames=_Bytes, what=cython.uint, kind=cython.uint, last=cython.uint,
                   padding=cython.uint, low=cython.uint, high=cython.uint, size=cython.uint)
    cdef int block(self) except -1
    @cython.locals(frames=_Bytes, count=cython.ulonglong, reader=_Reader, copied=_BitOut, few=cython.int,
                   place=cython.int)
    cdef int dynamic(self) except -1
    @cython.locals(byte=cython.uint)
    cdef int next_run(self) except -1
    @cython.locals(bits=_BitOut, codes=_Codes, length=cython.uint, symbol=cython.uint, low=cython.uint,
                   high=cython.uint, distance=cython.uint)
    cdef int tokens(self, unsigned long long count) except -1
    cdef int code(self, unsigned int entry) except -1
