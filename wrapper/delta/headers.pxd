# The types with which Cython compiles headers.py; bounds are checked all the same.
cimport cython

cdef int _LITERALS, _DISTANCES, _PRECODES, _END_OF_BLOCK, _LONGEST, _LONGEST_PRECODE, _NODES
cdef long long _NEVER


@cython.final
cdef class HeaderBuilder:
    cdef bint is_zlib
    cdef bint declares_all
    cdef unsigned int fewest
    cdef readonly int literal_count
    cdef readonly int distance_count
    cdef readonly unsigned char[::1] lengths
    cdef readonly unsigned char[::1] bits
    cdef int bit_count
    cdef const unsigned char[::1] order
    cdef long long[::1] counts
    cdef unsigned char[::1] runs
    cdef unsigned char[::1] repeats
    cdef int run_count
    cdef unsigned int[::1] precode_counts
    cdef int[::1] of_length
    cdef int[::1] heap
    cdef int heap_size
    cdef unsigned char[::1] depths
    cdef int[::1] parents
    cdef unsigned char[::1] node_lengths
    cdef int[::1] sorted
    cdef long long[::1] level_last
    cdef long long[::1] level_leaf
    cdef long long[::1] level_pair
    cdef int[::1] level_needed
    cdef int[::1] leaves

    @cython.locals(symbol=cython.int, any_distance=cython.uint)
    cpdef int build(self, const unsigned int[::1] literal_counts, const unsigned int[::1] distance_counts) except -1
    @cython.locals(last=cython.int, symbol=cython.int, place=cython.int, node=cython.int, top=cython.int,
                   rare=cython.int, next_rare=cython.int)
    cdef int _build_zlib_code(self, int first, int count, int longest) except -1
    @cython.locals(node=cython.int, below=cython.int)
    cdef int _sink(self, int place) except -1
    cdef bint _is_rarer(self, int node, int other) except -1
    @cython.locals(length=cython.int, too_long=cython.int, place=cython.int, node=cython.int, left=cython.int)
    cdef int _limit_zlib_lengths(self, int first, int count, int top, int longest) except -1
    @cython.locals(used=cython.int, last=cython.int, symbol=cython.int, place=cython.int, level=cython.int,
                   _=cython.int)
    cdef int _build_go_code(self, int first, int count, int longest) except -1
    @cython.locals(level=cython.int, lower=cython.int, found=cython.int, before=cython.longlong)
    cdef int _merge_packages(self, int used, int longest) except -1
    cdef int _run(self, int symbol, int repeat) except -1
    @cython.locals(before=cython.int, place=cython.int, length=cython.int, most=cython.int, times=cython.int,
                   _=cython.int)
    cdef int _run_zlib_lengths(self, int first, int count) except -1
    @cython.locals(total=cython.int, place=cython.int, length=cython.int, times=cython.int, some=cython.int,
                   _=cython.int)
    cdef int _run_go_lengths(self) except -1
    cdef int _declared_length(self, int place) except -1
    @cython.locals(precodes=cython.int, first=cython.int, place=cython.int, code=cython.int, length=cython.int,
                   symbol=cython.int, reverse=cython.int, bit=cython.int)
    cdef int _write(self) except -1
    @cython.locals(bit=cython.int)
    cdef int _put(self, int value, int count) except -1
