from setuptools import Extension, setup

# No module of Python's, but a library that ctypes loads: the header, with names that can be called.
setup(ext_modules=[Extension("millrace_ring._ends", ["millrace_ring/_ends.c"], include_dirs=["../c"])])
