/* The library of the made packages: it says its version, and needs no other library. */
const char *hostler_made_version(void) { return VERSION; }
