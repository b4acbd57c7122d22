# The types with which Cython compiles zstd_blocks.py.
cimport cython

from .entropy cimport FseTable, HuffmanCode, bits_before, high_bit
from .words cimport Words

ctypedef const unsigned char *Bytes

cdef Py_ssize_t _MOST_CONTENT, _OUT
cdef int _MOST_SEQUENCES, _RAW, _RLE, _COMPRESSED, _TREELESS, _LOG
cdef unsigned int _NO_STATE
cdef int _PREDEFINED, _ONE, _DESCRIBED, _REPEATED
cdef int _LITERALS_MOST, _OFFSETS_MOST, _MATCHES_MOST, _LITERALS_LOG, _OFFSETS_LOG, _MATCHES_LOG
cdef int _LITERALS_KNOWN_LOG, _OFFSETS_KNOWN_LOG, _MATCHES_KNOWN_LOG
cdef int _SHORTEST, _FEW_LITERALS, _FEW_MATCHES, _LITERALS_SHIFT, _MATCHES_SHIFT, _THREE_BYTES, _STREAMS, _SHORTEST_BLOCK


@cython.final
cdef class Lengths:
    cdef bytearray kept_literals_bits, kept_matches_bits, kept_literals_codes, kept_matches_codes
    cdef unsigned char *literals_bits
    cdef unsigned char *matches_bits
    cdef unsigned char *literals_codes
    cdef unsigned char *matches_codes
    cdef Words kept_literals_bases, kept_matches_bases
    cdef unsigned int *literals_bases
    cdef unsigned int *matches_bases


@cython.final
cdef class Sequences:
    cdef readonly int count
    cdef Words kept_literals, kept_matches, kept_offsets
    cdef unsigned int *literals
    cdef unsigned int *matches
    cdef unsigned int *offsets

    cpdef int add(self, unsigned int literals, unsigned int match, unsigned int offset) except -1
    @cython.locals(number=cython.int)
    cpdef bint same(self, Sequences other)
    cpdef int clear(self) except -1


@cython.final
cdef class Tables:
    cdef FseTable literals, offsets, matches
    cdef int known

    cdef int clear(self) except -1
    cdef Py_ssize_t read(self, int modes, bytes data, Py_ssize_t place, Py_ssize_t end) except -1
    cdef Py_ssize_t read_one(
        self, FseTable table, int mode, bytes data, Py_ssize_t place, Py_ssize_t end, int which, int most,
        int log) except -1


@cython.final
cdef class BlockParser:
    cdef readonly Sequences sequences
    cdef readonly Py_ssize_t content
    cdef Tables tables
    cdef Lengths by

    cpdef int begin(self) except -1
    @cython.locals(base=Bytes, place=cython.Py_ssize_t, first=cython.Py_ssize_t, literals=FseTable, offsets=FseTable,
                   matches=FseTable, by=Lengths, left=cython.uint, far=cython.uint, long=cython.uint,
                   total=cython.Py_ssize_t, number=cython.int, code=cython.int, one=cython.uint, offset=cython.uint,
                   width=cython.int, match=cython.uint, length=cython.uint)
    cdef int read_sequences(self, bytes data, Py_ssize_t begin, Py_ssize_t end, int many) except -1


@cython.final
cdef class BlockSpeller:
    cdef Tables tables
    cdef HuffmanCode code
    cdef bint has_code
    cdef Lengths by
    cdef bytearray kept_literals
    cdef unsigned char *literals
    cdef bytearray memory
    cdef unsigned char *out
    cdef Py_ssize_t used
    cdef unsigned long long buffer
    cdef int count

    cpdef int begin(self) except -1
    @cython.locals(size=cython.Py_ssize_t, base=Bytes, literals=cython.p_uchar, place=cython.Py_ssize_t,
                   count=cython.Py_ssize_t, number=cython.int, length=cython.Py_ssize_t, match=cython.Py_ssize_t,
                   many=cython.int)
    cpdef bytes spell(self, bytes content, Sequences sequences, object shape)
    cdef int put_byte(self, unsigned int byte) except -1
    @cython.locals(wide=cython.ulonglong)
    cdef int put(self, unsigned int value, int width) except -1
    cdef int end_bits(self) except -1
    @cython.locals(wide=cython.ulonglong, each=cython.int)
    cdef int put_number(self, unsigned long long number, int width) except -1
    @cython.locals(width=cython.int, shift=cython.int, place=cython.Py_ssize_t, bits=cython.int,
                   begin=cython.Py_ssize_t, sizes=cython.Py_ssize_t, part=cython.Py_ssize_t, stream=cython.int,
                   done=cython.Py_ssize_t, first=cython.Py_ssize_t, packed=cython.Py_ssize_t, end=cython.Py_ssize_t,
                   wide=cython.ulonglong)
    cdef int put_literals(self, Py_ssize_t count, int kind, int form, bytes tree) except -1
    @cython.locals(lengths=cython.p_uint, codes=cython.p_uint, place=cython.Py_ssize_t, symbol=cython.int)
    cdef int put_stream(self, Py_ssize_t first, Py_ssize_t end) except -1
    @cython.locals(literals=FseTable, offsets=FseTable, matches=FseTable, by=Lengths, number=cython.int,
                   left=cython.uint, far=cython.uint, long=cython.uint, one=cython.uint, length=cython.uint,
                   match=cython.int, offset=cython.uint, literals_code=cython.int, matches_code=cython.int,
                   offsets_code=cython.int, width=cython.int)
    cdef int put_sequences(self, Sequences sequences) except -1
    @cython.locals(state=cython.uint)
    cdef unsigned int put_step(self, FseTable table, int symbol, unsigned int following) except? 0xFFFFFFFF
    cdef int require(self, FseTable table, int symbol) except -1
