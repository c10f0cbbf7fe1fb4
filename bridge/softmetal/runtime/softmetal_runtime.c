//go:build linux && cgo

// The host's side of softmetal_runtime.h: opens libraries, lets one dispatch at a time into each,
// and turns the address of a fault into a line of the kernels' source.
#include "device/src/library.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sm_library {
	void *handle;
	const struct sm_library_table *table;
	char *path;
	pthread_mutex_t mutex;
};

struct sm_library *sm_library_open(const char *path, char *error, size_t error_size)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) {
		snprintf(error, error_size, "softmetal: %s", dlerror());
		return NULL;
	}
	const struct sm_library_table *(*get)(void) =
		(const struct sm_library_table *(*)(void))dlsym(handle, SM_LIBRARY_SYMBOL);
	const struct sm_library_table *table = get != NULL ? get() : NULL;
	struct sm_library *library = calloc(1, sizeof *library);
	if (table == NULL || table->version != SM_LIBRARY_VERSION || library == NULL) {
		snprintf(error, error_size, "softmetal: %s: not a kernel library of this version; compile it again with mslc", path);
		dlclose(handle);
		free(library);
		return NULL;
	}
	library->handle = handle;
	library->table = table;
	library->path = strdup(path);
	pthread_mutex_init(&library->mutex, NULL);
	return library;
}

void sm_library_close(struct sm_library *library)
{
	if (library == NULL)
		return;
	dlclose(library->handle);
	pthread_mutex_destroy(&library->mutex);
	free(library->path);
	free(library);
}

bool sm_library_checked(const struct sm_library *library) { return library->table->checked; }

uint32_t sm_library_functions(const struct sm_library *library) { return library->table->kernel_count; }

const struct sm_kernel *sm_library_function(const struct sm_library *library, uint32_t index)
{
	return index < library->table->kernel_count ? &library->table->kernels[index] : NULL;
}

const struct sm_kernel *sm_kernel_find(const struct sm_library *library, const char *name)
{
	for (uint32_t i = 0; i < library->table->kernel_count; i++)
		if (strcmp(library->table->kernels[i].info.name, name) == 0)
			return &library->table->kernels[i];
	return NULL;
}

struct sm_kernel_info sm_kernel_info(const struct sm_kernel *kernel) { return kernel->info; }

// Finds the line of an address in the table that mslc appends to a library: lines of
// "<hexadecimal address> <line> <file>" in ascending order, then their length in 16 digits.
static void find_line(const char *path, uint64_t address, struct sm_fault *fault)
{
	enum { trailer = 17 }; // 16 digits and a newline
	FILE *f = fopen(path, "rb");
	if (f == NULL)
		return;
	char line[512];
	long length = 0;
	if (fseek(f, -trailer, SEEK_END) == 0 && fgets(line, sizeof line, f) != NULL)
		length = strtol(line, NULL, 10);
	if (length > 0 && fseek(f, -trailer - length, SEEK_END) == 0) {
		for (long read = 0; read < length && fgets(line, sizeof line, f) != NULL; read += (long)strlen(line)) {
			uint64_t from;
			uint32_t number;
			int name = 0;
			if (sscanf(line, "%" SCNx64 " %" SCNu32 " %n", &from, &number, &name) < 2 || from > address)
				break;
			line[strcspn(line, "\n")] = 0;
			fault->line = number;
			snprintf(fault->file, sizeof fault->file, "%s", line + name);
		}
	}
	fclose(f);
}

// Puts kernel, place and thread in front of the message.
static void complete(struct sm_fault *fault)
{
	char place[sizeof fault->file + 16] = "", whole[2 * sizeof fault->message];
	const struct sm_size t = fault->thread, g = fault->threadgroup;
	if (fault->line != 0)
		snprintf(place, sizeof place, "%s:%" PRIu32 ": ", fault->file, fault->line);
	if (fault->kind == SM_FAULT_LAUNCH)
		snprintf(whole, sizeof whole, "kernel %s: %s", fault->kernel, fault->message);
	else
		snprintf(whole, sizeof whole,
		         "%skernel %s, thread (%" PRIu32 ", %" PRIu32 ", %" PRIu32 ") of threadgroup (%" PRIu32 ", %" PRIu32
		         ", %" PRIu32 "): %s",
		         place, fault->kernel, t.x, t.y, t.z, g.x, g.y, g.z, fault->message);
	memcpy(fault->message, whole, sizeof fault->message - 1);
}

bool sm_dispatch(struct sm_library *library, const struct sm_kernel *kernel, const struct sm_launch *launch,
                 const struct sm_options *options, struct sm_fault *fault)
{
	uint64_t address = 0;
	pthread_mutex_lock(&library->mutex);
	bool ok = library->table->dispatch(kernel, launch, options, fault, &address);
	pthread_mutex_unlock(&library->mutex);
	if (ok)
		return true;
	if (address != 0)
		find_line(library->path, address, fault);
	complete(fault);
	return false;
}
