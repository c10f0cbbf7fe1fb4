//go:build softmetal && linux && cgo

// This file stands in for Metal's compiler: it runs mslc, once for a source, and opens what it made.

#import "object.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static NSString *const domain = @"MTLLibraryErrorDomain";

extern char **environ;

// tool is the path of mslc: SOFTMETAL_MSLC, or the first on PATH, or nil.
static NSString *tool(void) {
	const char *named = getenv("SOFTMETAL_MSLC"), *path = getenv("PATH");
	if (named != NULL && *named != 0) return [NSString stringWithUTF8String:named];
	for (NSString *folder in [[NSString stringWithUTF8String:path == NULL ? "" : path] componentsSeparatedByString:@":"]) {
		NSString *file = [folder stringByAppendingPathComponent:@"mslc"];
		if (access([file UTF8String], X_OK) == 0) return file;
	}
	return nil;
}

// folder is where compiled libraries are kept: SOFTMETAL_CACHE, or one of the user in /tmp.
static NSString *folder(void) {
	const char *named = getenv("SOFTMETAL_CACHE");
	if (named != NULL && *named != 0) return [NSString stringWithUTF8String:named];
	return [NSString stringWithFormat:@"/tmp/softmetal-%d", (int)getuid()];
}

static uint64_t fnv(uint64_t h, const void *bytes, size_t n) { // FNV-1a
	for (const unsigned char *b = bytes, *end = b + n; b < end; b++) h = (h ^ *b) * 1099511628211u;
	return h;
}

// spawn runs mslc with its messages in a file and returns whether it succeeded.
static bool spawn(NSString *mslc, NSString *source, NSString *out, NSString *messages) {
	char *arguments[] = {(char *)[mslc UTF8String], soft_settings.checkers ? "-check" : "-check=false", "-o",
		(char *)[out UTF8String], (char *)[source UTF8String], NULL};
	posix_spawn_file_actions_t files;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 1, [messages UTF8String], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&files, 1, 2);
	pid_t pid;
	int failed = posix_spawn(&pid, arguments[0], &files, NULL, arguments, environ), status = 0;
	posix_spawn_file_actions_destroy(&files);
	if (failed != 0) return false;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// compiled returns the path of the library of a source, which it makes if it is not kept, or nil.
static NSString *compiled(NSString *source, uint64_t key, NSString *mslc, NSError **error) {
	NSString *stem = [NSString stringWithFormat:@"%@/%016llx", folder(), (unsigned long long)key];
	NSString *library = [stem stringByAppendingString:@".so"];
	if (access([library UTF8String], R_OK) == 0) return library;
	mkdir([folder() UTF8String], 0700);
	NSString *part = [NSString stringWithFormat:@"%@.%d", stem, (int)getpid()];
	NSString *text = [part stringByAppendingString:@".metal"], *messages = [part stringByAppendingString:@".log"];
	bool made = [source writeToFile:text atomically:NO encoding:NSUTF8StringEncoding error:error] && spawn(mslc, text, part, messages) &&
		rename([part UTF8String], [library UTF8String]) == 0;
	if (!made && error != NULL) {
		NSString *said = [NSString stringWithContentsOfFile:messages encoding:NSUTF8StringEncoding error:NULL];
		said = [said stringByReplacingOccurrencesOfString:text withString:@"program_source"];
		*error = soft_error(domain, MTLLibraryErrorCompileFailure, @"%@", [said length] == 0 ? @"mslc cannot be run" : said);
	}
	unlink([part UTF8String]);
	unlink([text UTF8String]);
	unlink([messages UTF8String]);
	if (made) soft_counts.libraries++;
	return made ? library : nil;
}

@implementation MTLCompileOptions

- (void)setLanguageVersion:(MTLLanguageVersion)v {
	version = v;
}

@end

@implementation SoftLibrary

- (id)initWithSource:(NSString *)source error:(NSError **)error {
	NSError *reason = nil;
	NSString *mslc = tool(), *path = nil;
	struct stat about = {0};
	if (soft_faults.no_compiler) {
		soft_faults.no_compiler = false;
		reason = soft_error(domain, MTLLibraryErrorCompileFailure, @"program_source:1:1: error: injected");
	} else if (mslc == nil || stat([mslc UTF8String], &about) != 0) {
		reason = soft_error(domain, MTLLibraryErrorUnsupported, @"there is no mslc; build ./cmd/mslc and name it in SOFTMETAL_MSLC");
	} else {
		const char *text = [source UTF8String];
		self->hash = fnv(14695981039346656037u, text, strlen(text));
		uint64_t key = fnv(self->hash, &soft_settings.checkers, sizeof soft_settings.checkers);
		key = fnv(fnv(key, &about.st_mtim, sizeof about.st_mtim), &about.st_size, sizeof about.st_size);
		path = compiled(source, key, mslc, &reason);
	}
	char said[1024] = "";
	if (path != nil) library = sm_library_open([path UTF8String], said, sizeof said);
	if (path != nil && library == NULL) reason = soft_error(domain, MTLLibraryErrorInternal, @"%s", said);
	if (library != NULL) return self;
	if (error != NULL) *error = reason;
	[self release];
	return nil;
}

- (id<MTLFunction>)newFunctionWithName:(NSString *)name {
	MTLFunctionConstantValues *none = [MTLFunctionConstantValues new];
	id<MTLFunction> function = [self newFunctionWithName:name constantValues:none error:NULL];
	[none release];
	return function;
}

// missing says what is wrong with the constants for a kernel, or nothing.
static NSString *missing(struct sm_kernel_info info, MTLFunctionConstantValues *values) {
	for (uint32_t i = 0; i < info.constant_count; i++) {
		struct sm_constant_info want = info.constants[i];
		const struct soft_constant *is = NULL;
		for (uint32_t k = 0; k < values->count; k++)
			if (values->values[k].index == want.index) is = &values->values[k];
		if (is == NULL && want.required) return [NSString stringWithFormat:@"constant %s at index %u is not set", want.name, want.index];
		if (is != NULL && is->type != want.type) return [NSString stringWithFormat:@"constant %s at index %u has another type", want.name, want.index];
	}
	return nil;
}

- (id<MTLFunction>)newFunctionWithName:(NSString *)name constantValues:(MTLFunctionConstantValues *)values error:(NSError **)error {
	const struct sm_kernel *kernel = sm_kernel_find(library, [name UTF8String]);
	NSString *wrong = kernel == NULL ? @"it is not in the library" : missing(sm_kernel_info(kernel), values);
	if (wrong != nil) {
		if (error != NULL) *error = soft_error(domain, MTLLibraryErrorFunctionNotFound, @"function %@: %@", name, wrong);
		return nil;
	}
	SoftFunction *f = [SoftFunction new];
	f->library = [self retain];
	f->kernel = kernel;
	f->count = values->count;
	memcpy(f->constants, values->values, sizeof f->constants);
	return f;
}

- (void)dealloc {
	sm_library_close(library);
	[super dealloc];
}

@end

@implementation MTLFunctionConstantValues

- (void)setConstantValue:(const void *)value type:(MTLDataType)type atIndex:(NSUInteger)index {
	struct soft_constant c = {.index = (uint32_t)index, .size = 4};
	switch (type) {
	case MTLDataTypeBool:
		c.size = 1;
		c.type = SM_TYPE_BOOL;
		break;
	case MTLDataTypeInt:
		c.type = SM_TYPE_INT;
		break;
	case MTLDataTypeUInt:
		c.type = SM_TYPE_UINT;
		break;
	case MTLDataTypeFloat:
		c.type = SM_TYPE_FLOAT;
		break;
	default:
		soft_invalid(self, _cmd, @"type %lu", (unsigned long)type);
	}
	if (count == SOFT_MAX_CONSTANTS) soft_invalid(self, _cmd, @"more than %d constants", SOFT_MAX_CONSTANTS);
	memcpy(c.value, value, c.size);
	values[count++] = c;
}

@end

@implementation SoftFunction

- (NSString *)name {
	return [NSString stringWithUTF8String:sm_kernel_info(kernel).name];
}

- (NSString *)key {
	NSMutableString *key = [NSMutableString stringWithFormat:@"%016llx %@", (unsigned long long)library->hash, [self name]];
	for (uint32_t i = 0; i < count; i++) {
		uint32_t bits = 0;
		memcpy(&bits, constants[i].value, constants[i].size);
		[key appendFormat:@" %u:%u=%x", constants[i].index, constants[i].type, bits];
	}
	return key;
}

- (void)dealloc {
	[library release];
	[super dealloc];
}

@end
