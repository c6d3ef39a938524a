//! Regular expressions as Python's re module reads them.
