# The types with which Cython compiles model.py.
from .window cimport Window

cdef unsigned int LITERAL


cdef class Model:
    cdef Window window
    cdef public Py_ssize_t place
    cdef public long long steps

    cpdef int begin(self, Py_ssize_t place) except -1
    cpdef unsigned int predict(self) except? 0xFFFFFFFF
    cpdef int accept(self, unsigned int token) except -1
