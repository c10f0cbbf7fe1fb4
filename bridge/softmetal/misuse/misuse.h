#include <stddef.h>

// The name of mistake i, or NULL after the last.
const char *misuse_name(size_t i);

// Makes a mistake; returns the reason of the exception it throws, to be freed, or NULL.
char *misuse_commit(const char *name);
