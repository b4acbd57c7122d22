# The types with which Cython compiles addresses.py.
cimport cython

from .words cimport Words

cdef extern from *:
    """
    #include <stdint.h>
    static CYTHON_INLINE long long *as_numbers(unsigned char *memory) { return (long long *)memory; }
    static CYTHON_INLINE long long load32(const unsigned char *data, Py_ssize_t place)
    {
        const unsigned char *at = data + place;
        return (long long)((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
    }
    static CYTHON_INLINE unsigned long long load64(const unsigned char *data, Py_ssize_t place)
    {
        return (unsigned long long)load32(data, place) | (unsigned long long)load32(data, place + 4) << 32;
    }
    static CYTHON_INLINE void store32(unsigned char *data, Py_ssize_t place, long long number)
    {
        data[place] = (unsigned char)number;
        data[place + 1] = (unsigned char)(number >> 8);
        data[place + 2] = (unsigned char)(number >> 16);
        data[place + 3] = (unsigned char)(number >> 24);
    }
    static CYTHON_INLINE void store64(unsigned char *data, Py_ssize_t place, long long number)
    {
        store32(data, place, number);
        store32(data, place + 4, number >> 32);
    }
    """
    long long *as_numbers(unsigned char *memory) nogil
    long long load32(const unsigned char *data, Py_ssize_t place) nogil
    unsigned long long load64(const unsigned char *data, Py_ssize_t place) nogil
    void store32(unsigned char *data, Py_ssize_t place, long long number) nogil
    void store64(unsigned char *data, Py_ssize_t place, long long number) nogil

ctypedef const unsigned char *Bytes

cdef int _AHEAD, _POINTER, _OLD, _NEW
cdef long long _LEAST_POINTER


@cython.final
cdef class Addresses:
    cdef int machine
    cdef int segments
    cdef unsigned char *relative
    cdef bytearray memory
    cdef long long *table
    cdef Words starts
    cdef Words lengths
    cdef Words news
    cdef Py_ssize_t count
    cdef Py_ssize_t last

    cpdef bytes carry(self, bytes data, Py_ssize_t lead, long long old_place, long long new_place)
    @cython.locals(base=Bytes, target=cython.p_uchar, size=cython.Py_ssize_t, at=cython.Py_ssize_t,
                   first=cython.int, second=cython.int, offset=cython.longlong, begin=cython.longlong,
                   end=cython.longlong, found=cython.longlong)
    cdef int carry_x86_64(
        self, bytes data, Py_ssize_t lead, bytearray out, long long old_place, long long new_place) except -1
    @cython.locals(pointer=cython.ulonglong, found=cython.longlong)
    cdef int carry_pointer(self, Bytes base, Py_ssize_t place, unsigned char *target, Py_ssize_t at) noexcept
    @cython.locals(base=Bytes, target=cython.p_uchar, size=cython.Py_ssize_t, at=cython.Py_ssize_t,
                   word=cython.longlong, offset=cython.longlong, begin=cython.longlong, end=cython.longlong,
                   found=cython.longlong)
    cdef int carry_aarch64(
        self, bytes data, Py_ssize_t lead, bytearray out, long long old_place, long long new_place) except -1
    @cython.locals(word=cython.longlong, register=cython.int, pages=cython.longlong, begin=cython.longlong,
                   end=cython.longlong, step=cython.Py_ssize_t, other=cython.longlong, scale=cython.int,
                   found=cython.longlong)
    cdef int carry_page(
        self, Bytes base, Py_ssize_t place, unsigned char *target, Py_ssize_t at, Py_ssize_t size,
        long long old_place, long long new_place) noexcept
    @cython.locals(number=cython.int, at=cython.longlong, found=cython.longlong)
    cdef long long address_of(self, long long place, int side) noexcept
    @cython.locals(number=cython.int, at=cython.longlong, place=cython.longlong, found=cython.longlong)
    cdef long long moved(self, long long address) noexcept
    @cython.locals(low=cython.Py_ssize_t, high=cython.Py_ssize_t, middle=cython.Py_ssize_t, at=cython.longlong,
                   found=cython.longlong)
    cdef long long find(self, long long place) noexcept


@cython.locals(old_base=Bytes, new_base=Bytes, found=cython.Py_ssize_t, place=cython.Py_ssize_t)
cpdef Py_ssize_t unequal(bytes old, bytes new) except -1
