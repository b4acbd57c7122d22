# The types with which Cython compiles words.py.
cdef extern from *:
    """
    static CYTHON_INLINE unsigned int *as_words(unsigned char *memory) { return (unsigned int *)memory; }
    """
    unsigned int *as_words(unsigned char *memory) nogil


cdef class Words:
    cdef bytearray memory
    cdef unsigned int *base
    cdef readonly Py_ssize_t count
