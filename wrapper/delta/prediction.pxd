# The types with which Cython compiles prediction.py.
cimport cython

from .deflate_writer cimport DeflateWriter, Symbols
from .headers cimport HeaderBuilder
from .inflate cimport Block, BlockHeader, Inflater
from .model cimport Model
from .nearest cimport Nearest
from .streams cimport StreamReader, StreamWriter
from .window cimport Window
from .words cimport Words

cdef Py_ssize_t _FAR, _AHEAD, _HISTORY, _MOST_TOKENS
cdef long long _HEADER_STEPS, _CODED_STEPS, _STORED_STEPS, _MEMBER_STEPS, _MOST_WAITING, _TRIAL_BLOCKS
cdef long long _TOKEN_PRICE, _HEADER_PRICE
cdef int _AS_PREDICTED, _CHUNKS, _COUNTED, _EMPTY, _VERBATIM
cdef int _STORED, _FIXED, _DYNAMIC, _NOT_READ
cdef int _AT_MEMBER, _AT_BLOCK, _IN_BLOCK, _AT_TRAILER, _AT_REST, _OVER
cdef unsigned int _LITERAL, _RANKS


@cython.final
cdef class Division:
    cdef readonly Py_ssize_t tokens
    cdef readonly Py_ssize_t chunk
    cdef readonly Py_ssize_t segment

    @cython.locals(end=cython.Py_ssize_t)
    cdef Py_ssize_t segment_end(self, Py_ssize_t place, Py_ssize_t begin, Py_ssize_t limit) except -1
    @cython.locals(end=cython.Py_ssize_t, first=cython.Py_ssize_t)
    cdef Py_ssize_t chunk_end(self, Py_ssize_t place, Py_ssize_t many, Py_ssize_t begin, Py_ssize_t limit) except -1
    cdef Py_ssize_t chunks(self, Py_ssize_t place, Py_ssize_t end, Py_ssize_t begin, Py_ssize_t limit) except -1


@cython.final
cdef class Counts:
    cdef Words kept_literals, kept_distances
    cdef unsigned int *literals
    cdef unsigned int *distances
    cdef unsigned int[::1] literal_view
    cdef unsigned int[::1] distance_view
    cdef Symbols by

    cdef int clear(self) except -1
    @cython.locals(place=cython.int)
    cdef int build(self, HeaderBuilder builder) except -1


@cython.final
cdef class Analyser:
    cdef Window window
    cdef Inflater inflater
    cdef Model model
    cdef Nearest nearest
    cdef Division division
    cdef Counts counts
    cdef list builders
    cdef object on_content
    cdef bint trial
    cdef Py_ssize_t stop_at
    cdef long long most_corrections
    cdef int variant
    cdef object blocks
    cdef bint in_block
    cdef Py_ssize_t begin
    cdef Py_ssize_t block_begin
    cdef Py_ssize_t count_end
    cdef Py_ssize_t before_last
    cdef long long taken
    cdef bint misfit
    cdef unsigned long long run
    cdef readonly long long corrections
    cdef readonly long long tokens
    cdef readonly long long block_count
    cdef readonly long long verbatim_headers
    cdef long long other_steps
    cdef long long block_steps
    cdef Py_ssize_t passed_on
    cdef unsigned int crc
    cdef long long bound
    cdef bint bare
    cdef readonly list prices
    cdef readonly list streams
    cdef StreamWriter frames, blocks_out, headers_out, runs, lengths, distances

    cpdef int run_trial(self, Py_ssize_t most_content, long long most_tokens, long long most_corrections) except -1
    cdef int pass_on(self) except -1
    @cython.locals(block=Block)
    cdef int consume(self) except -1
    cdef int open_block(self) except -1
    @cython.locals(model=Model, inflater=Inflater, counts=Counts, tokens=cython.p_uint, head=cython.Py_ssize_t,
                   end=cython.Py_ssize_t, place=cython.Py_ssize_t, before=cython.Py_ssize_t, token=cython.uint,
                   truth=cython.uint, predicted=cython.uint, length=cython.uint, distance=cython.uint,
                   run=cython.ulonglong, counted=cython.Py_ssize_t, literal_counts=cython.p_uint,
                   distance_counts=cython.p_uint, length_symbols=cython.p_uchar, symbols=cython.p_uchar)
    cdef int compare(self, Block block, Py_ssize_t safe) except -1
    @cython.locals(model=Model, end=cython.Py_ssize_t, predicted=cython.uint, length=cython.Py_ssize_t,
                   place=cython.Py_ssize_t)
    cdef int run_free(self, Block block, Py_ssize_t safe) except -1
    @cython.locals(length=cython.uint, rank=cython.int)
    cdef int correct(self, unsigned int truth, Py_ssize_t place) except -1
    @cython.locals(record=cython.int, how=cython.int, end_kind=cython.int, number=cython.Py_ssize_t,
                   end=cython.Py_ssize_t, place=cython.Py_ssize_t)
    cdef int close_block(self, Block block) except -1
    cdef int predict_header(self, Block block) except -1


@cython.final
cdef class Rebuilder:
    cdef Window window
    cdef Model model
    cdef Nearest nearest
    cdef Division division
    cdef Counts counts
    cdef list builders
    cdef DeflateWriter writer
    cdef BlockHeader header
    cdef list streams
    cdef StreamReader frames, blocks, headers, runs, lengths, distances
    cdef readonly Py_ssize_t content
    cdef long long steps
    cdef long long other_steps
    cdef long long block_steps
    cdef bint bare
    cdef int state
    cdef readonly bint is_behind
    cdef Py_ssize_t begin
    cdef Py_ssize_t limit
    cdef Py_ssize_t summed
    cdef unsigned int crc
    cdef Py_ssize_t right
    cdef int kind
    cdef int last
    cdef int padding
    cdef int how
    cdef Py_ssize_t block_begin
    cdef Py_ssize_t block_end
    cdef Py_ssize_t count_end
    cdef Py_ssize_t left
    cdef Words kept_tokens
    cdef unsigned int *tokens
    cdef Py_ssize_t filled
    cdef bytearray kept_scratch
    cdef unsigned char *scratch

    @cython.locals(length=cython.Py_ssize_t)
    cpdef Py_ssize_t begin_bare(self) except -1
    @cython.locals(at=cython.Py_ssize_t, piece=cython.Py_ssize_t)
    cpdef list feed(self, bytes content)
    cpdef list go_on(self)
    cpdef list finish(self)
    @cython.locals(before=cython.longlong)
    cdef int advance(self) except -1
    cdef int sum_up(self) except -1
    @cython.locals(length=cython.Py_ssize_t)
    cdef int begin_member(self) except -1
    cdef int open_member(self, Py_ssize_t length) except -1
    @cython.locals(record=cython.int, end_kind=cython.int, number=cython.Py_ssize_t, most=cython.Py_ssize_t)
    cdef int begin_block(self) except -1
    cdef int read_header(self) except -1
    cdef int add_steps(self, long long steps) except -1
    @cython.locals(model=Model, counts=Counts, tokens=cython.p_uint, filled=cython.Py_ssize_t, base=cython.p_uchar,
                   start=cython.Py_ssize_t, end=cython.Py_ssize_t, place=cython.Py_ssize_t, token=cython.uint,
                   length=cython.uint, distance=cython.uint, right=cython.Py_ssize_t, counted=cython.Py_ssize_t,
                   literal_counts=cython.p_uint, distance_counts=cython.p_uint, length_symbols=cython.p_uchar,
                   symbols=cython.p_uchar, left=cython.Py_ssize_t, most=cython.longlong, byte=cython.uint,
                   limit=cython.Py_ssize_t)
    cdef int produce(self, Py_ssize_t safe) except -1
    @cython.locals(length=cython.uint, distance=cython.uint, size=cython.Py_ssize_t)
    cdef unsigned int corrected(self, Py_ssize_t place) except? 0xFFFFFFFF
    cdef Py_ssize_t next_run(self) except? -1
    @cython.locals(model=Model, place=cython.Py_ssize_t, token=cython.uint, length=cython.Py_ssize_t)
    cdef int run_free(self, Py_ssize_t safe) except -1
    cdef int spill(self) except -1
    @cython.locals(builder=HeaderBuilder, bits=cython.int, place=cython.int)
    cdef int write_header(self) except -1
    @cython.locals(size=cython.uint)
    cdef int end_block(self) except -1
    cdef int end_member(self) except -1
    cdef int write_rest(self) except -1
