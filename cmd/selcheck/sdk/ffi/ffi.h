// The part of libffi's interface that darwinkit's objc/ffi uses, from the documentation of libffi
// (MIT): enough to compile and link for arm64, not to run, since the sizes of the structs are the
// system's affair.

#pragma once

#include <stddef.h>

typedef unsigned long ffi_arg;

typedef enum { FFI_OK, FFI_BAD_TYPEDEF, FFI_BAD_ABI, FFI_BAD_ARGTYPE } ffi_status;
typedef enum { FFI_FIRST_ABI, FFI_SYSV, FFI_WIN64, FFI_LAST_ABI, FFI_DEFAULT_ABI = FFI_SYSV } ffi_abi;

enum { FFI_TYPE_STRUCT = 13 };

typedef struct _ffi_type {
	size_t size;
	unsigned short alignment, type;
	struct _ffi_type **elements;
} ffi_type;

typedef struct {
	ffi_abi abi;
	unsigned nargs;
	ffi_type **arg_types, *rtype;
	unsigned bytes, flags, aarch64_nfixedargs;
} ffi_cif;

typedef struct {
	void *trampoline[4];
	ffi_cif *cif;
	void (*fun)(ffi_cif *, void *, void **, void *);
	void *user_data;
} ffi_closure;

extern ffi_type ffi_type_void, ffi_type_uint8, ffi_type_sint8, ffi_type_uint16, ffi_type_sint16,
	ffi_type_uint32, ffi_type_sint32, ffi_type_uint64, ffi_type_sint64, ffi_type_float,
	ffi_type_double, ffi_type_pointer;

ffi_status ffi_prep_cif(ffi_cif *cif, ffi_abi abi, unsigned nargs, ffi_type *rtype, ffi_type **atypes);
void ffi_call(ffi_cif *cif, void (*fn)(void), void *rvalue, void **avalue);
void *ffi_closure_alloc(size_t size, void **code);
void ffi_closure_free(void *closure);
ffi_status ffi_prep_closure_loc(ffi_closure *closure, ffi_cif *cif,
	void (*fun)(ffi_cif *, void *, void **, void *), void *user_data, void *code);
