# The types with which Cython compiles window.py.
cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static CYTHON_INLINE Py_ssize_t same_bytes(
        const unsigned char *data, Py_ssize_t earlier, Py_ssize_t later, Py_ssize_t most)
    {
        Py_ssize_t found = 0;
        while (found + 8 <= most) {
            uint64_t a, b;
            memcpy(&a, data + earlier + found, 8);
            memcpy(&b, data + later + found, 8);
            if (a != b) break;
            found += 8;
        }
        while (found < most && data[earlier + found] == data[later + found]) found++;
        return found;
    }
    """
    Py_ssize_t same_bytes(const unsigned char *data, Py_ssize_t earlier, Py_ssize_t later, Py_ssize_t most) nogil

cdef Py_ssize_t _NO_LIMIT


cdef class Window:
    cdef bytearray buffer
    cdef unsigned char *base
    cdef Py_ssize_t size
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end
    cdef public Py_ssize_t limit

    cpdef Py_ssize_t room(self)
    cpdef Py_ssize_t forget(self, Py_ssize_t place) except -1
    cpdef Py_ssize_t add(self, const unsigned char[::1] data, Py_ssize_t first, Py_ssize_t count) except -1
    cpdef bytes slice(self, Py_ssize_t first, Py_ssize_t end)
    cdef Py_ssize_t match(self, Py_ssize_t earlier, Py_ssize_t later, Py_ssize_t most) except -1
